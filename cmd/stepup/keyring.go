package main

import (
	"crypto/rand"

	"github.com/stepup-auth/stepup/pkg/keyring"
)

// keyrings are the commands about master keys.
type keyrings struct {
	Generate keyringGenerate `cmd:"" help:"Print a new keyring with one key, as it goes into Secrets Manager."`
}

type keyringGenerate struct {
	ID string `default:"k1" help:"Id of the key: 1 to 8 characters of a-z and 0-9."`
}

// Run implements the command. The keyring goes nowhere but to the output, so that a
// pipe can carry it to its place without a file in between.
func (k *keyringGenerate) Run(t *terminal) error {
	text, err := keyring.Generate(rand.Reader, k.ID)
	if err != nil {
		return err
	}
	_, err = t.out.Write(text)
	return err
}
