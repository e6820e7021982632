// Package passwords pins the module whose list of passwords that leaked make generate
// reads. It has no program.
package passwords

import _ "github.com/trustelem/zxcvbn/frequency" // keeps the requirement in go.mod
