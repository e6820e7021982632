// Package emulators owns how the programs in this folder, which stand in for services
// of AWS, are found and run for tests. They are installed with
//
//	npm ci --prefix test/emulators --ignore-scripts --no-audit --no-fund
package emulators

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Locate returns the path of a file that is installed, whose name begins with that of
// its package. The error says how to install it.
func Locate(name string) (string, error) {
	root, err := ModuleRoot()
	if err != nil {
		return "", err
	}
	path := filepath.Join(root, "test/emulators/node_modules", name)
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("%w\ninstall it with: npm ci --prefix test/emulators --ignore-scripts --no-audit --no-fund", err)
	}
	return path, nil
}

// ModuleRoot returns the nearest folder above the working directory with a go.mod.
func ModuleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("no go.mod above the working directory")
		}
		dir = parent
	}
}
