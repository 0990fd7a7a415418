package cli

import (
	"fmt"
	"os"

	"golang.org/x/term"

	"paddock/app/bundle"
	"paddock/app/control"
)

// envPassword holds the password of a secret key, for programs.
const envPassword = "PADDOCK_KEY_PASSWORD"

// secretKey reads a secret key file, and asks for its password when it has one.
func (p *program) secretKey(name string) (secret []byte, password string, err error) {
	secret, err = readFile(name, maxKeyFile)
	if err != nil {
		return nil, "", err
	}
	if !bundle.NeedsPassword(secret) {
		return secret, "", nil
	}
	password, err = p.password("Password of " + name + ": ")
	return secret, password, err
}

// newPassword asks for a password that is about to be set, twice where a person types it.
func (p *program) newPassword() (string, error) {
	first, err := p.password("Password for the new key: ")
	if err != nil || p.env.Getenv(envPassword) != "" {
		return first, err
	}
	if first == "" {
		return "", usage("The password is empty.", "Use --no-password for a key without one.")
	}
	again, err := p.password("The same again: ")
	if err == nil && again != first {
		return "", control.NewError(control.ExitFailed, "password", "The two passwords differ.", "Try again.", nil)
	}
	return first, err
}

// password comes from the environment or from the terminal, never from a pipe: a prompt that nobody sees would hang.
func (p *program) password(prompt string) (string, error) {
	if s := p.env.Getenv(envPassword); s != "" {
		return s, nil
	}
	in, ok := p.env.Stdin.(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) {
		return "", usage("The key needs a password and there is no terminal to ask on.", "Set "+envPassword+", or use a key without a password.")
	}
	fmt.Fprint(p.env.Stderr, harmless(prompt))
	typed, err := term.ReadPassword(int(in.Fd()))
	fmt.Fprintln(p.env.Stderr)
	if err != nil {
		return "", fmt.Errorf("read the password: %w", err)
	}
	return string(typed), nil
}
