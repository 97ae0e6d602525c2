package console

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

const maxInput = 1 << 20

// ReadAll reads a file, or standard input for "-".
func (c *Console) ReadAll(path string) ([]byte, error) {
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		return readLimited(file)
	}
	return readLimited(c.In)
}

func readLimited(r io.Reader) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxInput+1))
	if err == nil && len(text) > maxInput {
		err = errors.New("is larger than 1 MiB")
	}
	return text, err
}

// ReadSecret reads one secret from standard input; a line end behind it is not part of it. Secrets never come as arguments: those are seen by
// every process of the machine and kept by the shell.
func (c *Console) ReadSecret() (string, error) {
	text, err := readLimited(c.In)
	if err != nil {
		return "", fmt.Errorf("read standard input: %w", err)
	}
	text = bytes.TrimSuffix(bytes.TrimSuffix(text, []byte("\n")), []byte("\r"))
	if len(text) == 0 {
		return "", Usagef("standard input is empty; pipe the secret in: printf %%s \"$SECRET\" | gatehouse ...")
	}
	return string(text), nil
}

// ReadPassword reads a password from standard input, or asks for it twice on a terminal.
func (c *Console) ReadPassword(stdin bool) (string, error) {
	if stdin {
		return c.ReadSecret()
	}
	terminal, ok := c.In.(*os.File)
	if !ok || !term.IsTerminal(int(terminal.Fd())) {
		return "", Usagef("there is no terminal to ask for the password; pipe it in with --password-stdin")
	}
	first, err := c.prompt(terminal, "Password: ")
	if err != nil {
		return "", err
	}
	second, err := c.prompt(terminal, "Again: ")
	if err != nil {
		return "", err
	}
	if first != second {
		return "", errors.New("the two passwords differ")
	}
	return first, nil
}

func (c *Console) prompt(terminal *os.File, label string) (string, error) {
	fmt.Fprint(c.Err, label)
	text, err := term.ReadPassword(int(terminal.Fd()))
	fmt.Fprintln(c.Err)
	if err != nil {
		return "", fmt.Errorf("read password: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}
