package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"paddock/app/bundle"
	"paddock/app/bundle/pack"
	"paddock/app/control"
)

// Largest files that the author's commands read whole, in bytes.
const (
	maxKeyFile  = 64 << 10
	maxManifest = 256 << 10
)

func (p *program) initCommand() *cobra.Command {
	var template string
	cmd := &cobra.Command{
		Use:   "init [DIR]",
		Short: "Make a new app from a template",
		Long:  "Makes a new app in DIR, the present folder by default. Templates: " + strings.Join(pack.Templates(), ", ") + ".",
		Args:  takes("[DIR]"),
		RunE: func(_ *cobra.Command, args []string) error {
			dir := folderArgument(args)
			if err := pack.Init(dir, template); err != nil {
				return err
			}
			p.ok("A new app is in %s. Try it with “paddock install --dev %s”.", dir, dir)
			return nil
		},
	}
	cmd.Flags().StringVar(&template, "template", "", "`NAME` of the template (default: the first)")
	return cmd
}

func folderArgument(args []string) string {
	if len(args) == 0 {
		return "."
	}
	return args[0]
}

func (p *program) packCommand() *cobra.Command {
	var out, key string
	cmd := &cobra.Command{
		Use:   "pack [DIR]",
		Short: "Make a bundle from an app's folder",
		Long: `Bundles the code into one module, checks the manifest and writes the bundle: signed when a key is given, else the
bare content, which “paddock sign” signs later. The same folder gives the same bytes on every machine.`,
		Args: takes("[DIR]"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if out == "" {
				return usage("“paddock pack” needs -o FILE.", "Name the bundle to write, such as -o notes.paddock.")
			}
			o := pack.Options{Out: out}
			if key != "" {
				secret, password, err := p.secretKey(key)
				if err != nil {
					return err
				}
				o.Key, o.Password = secret, password
			}
			r, err := pack.Pack(cmd.Context(), folderArgument(args), o)
			if err != nil {
				return err
			}
			if p.json {
				r.Notes = list(r.Notes)
				p.document(r)
				return nil
			}
			for _, n := range r.Notes {
				p.note("%s", n)
			}
			p.say("%s: %s, %d entries", r.File, size(r.Bytes), r.Entries)
			p.say("sha256 %s", r.SHA256)
			return nil
		},
	}
	cmd.Flags().StringVarP(&out, "out", "o", "", "`FILE` to write")
	cmd.Flags().StringVar(&key, "key", "", "sign with the secret key in `FILE`")
	return cmd
}

func (p *program) keygenCommand() *cobra.Command {
	var out string
	var noPassword bool
	cmd := &cobra.Command{
		Use:   "keygen -o FILE",
		Short: "Make a key pair for signing bundles",
		Long: `Writes the secret key to FILE and the public one to FILE.pub, in minisign's format. The secret key is protected by
a password: PADDOCK_KEY_PASSWORD, or asked for on a terminal.`,
		Args: takes(),
		RunE: func(*cobra.Command, []string) error {
			if out == "" {
				return usage("“paddock keygen” needs -o FILE.", "Name the file for the secret key.")
			}
			for _, name := range []string{out, out + ".pub"} {
				if _, err := os.Lstat(name); !errors.Is(err, fs.ErrNotExist) {
					return control.NewError(control.ExitFailed, "exists", fmt.Sprintf("%s is there already.", name),
						"A key that was used must not be lost: choose another name, or move it away.", nil)
				}
			}
			password := ""
			if !noPassword {
				var err error
				if password, err = p.newPassword(); err != nil {
					return err
				}
			}
			secret, public, info, err := bundle.Keygen(password)
			if err != nil {
				return err
			}
			if err := writeNew(out, secret, 0o600); err != nil {
				return err
			}
			if err := writeNew(out+".pub", public, 0o644); err != nil {
				return err
			}
			if p.json {
				p.document(info)
				return nil
			}
			p.say("Key %s", info.KeyID)
			p.say("Public key: %s", info.PublicKey)
			p.note("Keep %s secret and safe: without it no update of your apps can be signed.", out)
			return nil
		},
	}
	cmd.Flags().StringVarP(&out, "out", "o", "", "`FILE` for the secret key; the public one goes to FILE.pub")
	cmd.Flags().BoolVar(&noPassword, "no-password", false, "leave the secret key unprotected")
	return cmd
}

// writeNew makes a file and never replaces one.
func writeNew(name string, content []byte, mode os.FileMode) (err error) {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(name)) // half a key is none
		}
	}()
	if _, err := f.Write(content); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := f.Sync(); err != nil {
		return errors.Join(err, f.Close())
	}
	return f.Close()
}

func (p *program) signCommand() *cobra.Command {
	var key, out string
	cmd := &cobra.Command{
		Use:   "sign CONTENT.zip",
		Short: "Sign a content zip, giving a bundle",
		Args:  takes("CONTENT.zip"),
		RunE: func(_ *cobra.Command, args []string) error {
			if key == "" || out == "" {
				return usage("“paddock sign” needs --key FILE and -o FILE.", "Name the secret key and the bundle to write.")
			}
			secret, password, err := p.secretKey(key)
			if err != nil {
				return err
			}
			if err := bundle.Sign(args[0], secret, password, out); err != nil {
				return err
			}
			p.ok("%s is signed.", out)
			return nil
		},
	}
	cmd.Flags().StringVar(&key, "key", "", "`FILE` with the secret key")
	cmd.Flags().StringVarP(&out, "out", "o", "", "`FILE` to write")
	return cmd
}

func (p *program) verifyCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "verify FILE",
		Short: "Check a bundle's signature and content as an installation would",
		Args:  takes("FILE"),
		RunE: func(_ *cobra.Command, args []string) error {
			r, err := bundle.Verify(args[0])
			if err != nil {
				return err
			}
			if p.json {
				p.document(r)
				return nil
			}
			var t table
			t.fact("Id", r.ID)
			t.fact("Version code", fmt.Sprint(r.VersionCode))
			t.fact("Public key", r.PublicKey)
			t.fact("sha256", r.SHA256)
			p.print(t)
			p.note("The signature holds for the whole content. Whether the key is the author's own, only you can know.")
			return nil
		},
	}
}

func (p *program) manifestCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "manifest",
		Short: "Print the manifest's schema, or check a manifest",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return usage(fmt.Sprintf("There is no command “manifest %s”.", args[0]), "It is “manifest schema” or “manifest check FILE”.")
		},
		RunE: func(*cobra.Command, []string) error {
			return usage("“paddock manifest” needs schema or check.", "It is “manifest schema” or “manifest check FILE”.")
		},
	}
	cmd.AddCommand(
		&cobra.Command{
			Use: "schema", Short: "Print the JSON Schema of paddock.json", Args: takes(),
			RunE: func(*cobra.Command, []string) error {
				_, err := fmt.Fprintf(p.env.Stdout, "%s\n", strings.TrimSpace(string(bundle.Schema())))
				return err
			},
		},
		&cobra.Command{
			Use: "check FILE", Short: "Check a paddock.json, or the one in a folder", Args: takes("FILE"),
			RunE: func(_ *cobra.Command, args []string) error {
				name := args[0]
				if st, err := os.Stat(name); err == nil && st.IsDir() {
					name = filepath.Join(name, bundle.ManifestName)
				}
				raw, err := readFile(name, maxManifest)
				if err != nil {
					return err
				}
				m, err := bundle.ParseManifest(raw)
				if err != nil {
					return err
				}
				p.ok("%s %s is a valid manifest.", m.ID, m.Version)
				return nil
			},
		},
	)
	return cmd
}
