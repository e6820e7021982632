package main

import (
	"time"

	"github.com/stepup-auth/stepup/pkg/otp"
)

// totp is an authenticator app for the terminal.
type totp struct {
	In     time.Duration `default:"0s" help:"Show the code that is due after this time."`
	Secret string        `arg:"" help:"Secret in base32, as the registration answers it."`
}

// Run implements the command.
func (c *totp) Run(t *terminal) error {
	seed, err := otp.ParseSecret(c.Secret)
	if err != nil {
		return err
	}
	t.sayf("%s", otp.Code(seed, time.Now().Add(c.In)))
	return nil
}
