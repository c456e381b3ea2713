package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/credential"
	"github.com/devs/deploy/pkg/credential/client"
	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/report"
	"github.com/devs/deploy/pkg/secret"
)

func (t *tool) newConfig() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Store, show and delete credentials",
		Long: `Keeps credentials in access.yaml, readable by its owner alone. In CI there is no
need to: devs reads AccountID, AccessKeyID and AccessKeySecret, or a JSON variable
named like the alias, from the environment.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(t.newConfigAdd(), t.newConfigGet(), t.newConfigDelete(), t.newConfigRename(), t.newConfigDefault())
	return cmd
}

func (t *tool) store() *credential.Store {
	return credential.NewStore(t.credentialConfig(t.getenv))
}

func (t *tool) newConfigAdd() *cobra.Command {
	o := credential.AddOptions{}
	values := map[string]*string{}
	cmd := &cobra.Command{
		Use:   "add",
		Short: "Store a credential under an alias",
		Example: `  devs config add --AccountID 1234567890123456 --AccessKeyID "$ID" --AccessKeySecret "$SECRET" -a default -f
  devs config add --kl AccountID,AccessKeyID,AccessKeySecret --il "1234567890123456,$ID,$SECRET" -a default`,
		Args: cobra.NoArgs,
	}
	for _, name := range credential.NamedKeys() {
		values[name] = cmd.Flags().String(name, "", "value of "+name)
	}
	cmd.Flags().StringVar(&o.KeyList, "kl", "", "comma-separated names of keys (also -kl, --keyList)")
	infoList := cmd.Flags().String("il", "", "comma-separated values of the keys (also -il, --infoList)")
	cmd.Flags().StringVarP(&o.Provider, "provider", "p", "", "provider of the credential (default: found by its keys)")
	cmd.Flags().BoolVarP(&o.Force, "force", "f", false, "replace an alias that exists")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		o.Alias, o.InfoList = t.Access, secret.New(*infoList)
		for _, name := range credential.NamedKeys() {
			if cmd.Flags().Changed(name) {
				o.Fields = append(o.Fields, credential.Field{Name: name, Value: secret.New(*values[name])})
			}
		}
		o.Lookup = client.AccountLookup(t.env("DEVS_STS_ENDPOINT"))
		result, err := t.store().Add(cmd.Context(), o)
		if err != nil {
			return err
		}
		for _, w := range result.Warnings {
			t.warn("%s", w)
		}
		t.showEntry(result.Entry)
		fmt.Fprintf(t.IO.Err, "stored in %s\n", result.Path)
		return nil
	}
	return cmd
}

func (t *tool) showEntry(e credential.Entry) {
	fmt.Fprintf(t.IO.Out, "Alias: %s\n", e.Alias)
	for _, f := range e.Fields {
		fmt.Fprintf(t.IO.Out, "  %s: %s\n", f.Name, f.Value)
	}
}

func (t *tool) newConfigGet() *cobra.Command {
	return &cobra.Command{
		Use:     "get",
		Short:   "Show stored credentials, masked",
		Example: "  devs config get -a default",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			entries, err := t.entries()
			if err != nil {
				return err
			}
			if t.Output == string(report.Default) {
				for _, e := range entries {
					t.showEntry(e)
				}
				return nil
			}
			data, err := report.Output(entriesValue(entries), report.Format(t.Output))
			if err != nil {
				return err
			}
			return t.writeResult(data)
		},
	}
}

func (t *tool) entries() ([]credential.Entry, error) {
	if t.Access == "" {
		return t.store().List()
	}
	e, err := t.store().Get(t.Access)
	return []credential.Entry{e}, err
}

func entriesValue(entries []credential.Entry) *app.Value {
	v := &app.Value{Kind: app.Map}
	for _, e := range entries {
		fields := &app.Value{Kind: app.Map}
		for _, f := range e.Fields {
			fields.Entries = append(fields.Entries, app.Entry{Key: f.Name, Value: app.Text(f.Value)})
		}
		v.Entries = append(v.Entries, app.Entry{Key: e.Alias, Value: fields})
	}
	return v
}

func (t *tool) newConfigDelete() *cobra.Command {
	return &cobra.Command{
		Use:     "delete",
		Short:   "Delete a stored credential",
		Example: "  devs config delete -a default",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if t.Access == "" {
				return diag.Errorf("which credential shall be deleted?").WithHint("name it with -a")
			}
			if err := t.store().Delete(cmd.Context(), t.Access); err != nil {
				return err
			}
			fmt.Fprintf(t.IO.Out, "Key [%s] has been successfully removed\n", t.Access)
			return nil
		},
	}
}

func (t *tool) newConfigRename() *cobra.Command {
	var source, target string
	cmd := &cobra.Command{
		Use:     "rename [source target]",
		Short:   "Give a stored credential another alias",
		Example: "  devs config rename --source default --target production",
		Args:    cobra.MatchAll(cobra.MaximumNArgs(2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 2 {
				source, target = args[0], args[1]
			}
			if source == "" || target == "" {
				return diag.Errorf("rename needs two aliases").WithHint("write devs config rename --source OLD --target NEW")
			}
			if err := t.store().Rename(cmd.Context(), source, target); err != nil {
				return err
			}
			fmt.Fprintf(t.IO.Out, "%s is now %s\n", source, target)
			return nil
		},
	}
	cmd.Flags().StringVar(&source, "source", "", "the alias there is")
	cmd.Flags().StringVar(&target, "target", "", "the alias there shall be")
	return cmd
}

func (t *tool) newConfigDefault() *cobra.Command {
	return &cobra.Command{
		Use:     "default",
		Short:   "Choose the credential that is used where none is named",
		Example: "  devs config default -a production",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if t.Access == "" {
				return diag.Errorf("which credential shall be the default?").WithHint("name it with -a")
			}
			if err := t.store().SetDefault(cmd.Context(), t.Access); err != nil {
				return err
			}
			fmt.Fprintf(t.IO.Out, "%s is the default now\n", t.Access)
			return nil
		},
	}
}
