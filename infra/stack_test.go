package infra_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// app is the template of the application; the others are in this folder.
const app = "template.yaml"

// stack is a template as far as these tests look at it.
type stack struct {
	Parameters map[string]struct {
		Type        string `yaml:"Type"`
		Default     string `yaml:"Default"`
		Description string `yaml:"Description"`
	} `yaml:"Parameters"`
	Resources map[string]resource `yaml:"Resources"`
}

type resource struct {
	Type                string    `yaml:"Type"`
	Condition           string    `yaml:"Condition"`
	DeletionPolicy      string    `yaml:"DeletionPolicy"`
	UpdateReplacePolicy string    `yaml:"UpdateReplacePolicy"`
	Properties          yaml.Node `yaml:"Properties"`
}

// list is one text or several, as IAM has it. Of CloudFormation's functions only the
// argument is left.
type list []string

func (l *list) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		*l = list{n.Value}
		return nil
	}
	return n.Decode((*[]string)(l))
}

// of returns the resources of a type by name.
func (s stack) of(kind string) map[string]resource {
	found := map[string]resource{}
	for name, r := range s.Resources {
		if r.Type == kind {
			found[name] = r
		}
	}
	return found
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// load reads a template by its path from the root.
func load(t *testing.T, path string) stack {
	t.Helper()
	var s stack
	if err := yaml.Unmarshal([]byte(read(t, path)), &s); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	if len(s.Resources) == 0 {
		t.Fatalf("%s has no resources", path)
	}
	return s
}

// stacks returns every template by its path.
func stacks(t *testing.T) map[string]stack {
	t.Helper()
	files, err := filepath.Glob("*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]stack{app: load(t, app)}
	for _, file := range files {
		path := "infra/" + file
		all[path] = load(t, path)
	}
	return all
}

// properties returns those of a resource.
func properties[P any](t *testing.T, s stack, name string) P {
	t.Helper()
	r, ok := s.Resources[name]
	if !ok {
		t.Fatalf("there is no resource %s", name)
	}
	var p P
	if err := r.Properties.Decode(&p); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return p
}

func TestNoAccountIsNamed(t *testing.T) {
	t.Parallel()
	account := regexp.MustCompile(`\b[0-9]{12}\b`)
	for _, path := range append(keys(stacks(t)), "samconfig.toml", "infra/deploy.sh", "infra/api-key.sh", "Makefile") {
		if found := account.FindString(read(t, path)); found != "" {
			t.Errorf("%s names the account %s", path, found)
		}
	}
}

func TestEveryParameterIsDocumented(t *testing.T) {
	t.Parallel()
	document := read(t, "docs/deployment.md")
	for path, s := range stacks(t) {
		for name, p := range s.Parameters {
			if p.Description == "" {
				t.Errorf("%s: the parameter %s has no description", path, name)
			}
			if !strings.Contains(document, "`"+name+"`") {
				t.Errorf("%s: docs/deployment.md does not name the parameter %s", path, name)
			}
		}
	}
}

// TestStacksFindWhatOthersSay compares both ends of what goes from one stack to another
// through SSM.
func TestStacksFindWhatOthersSay(t *testing.T) {
	t.Parallel()
	said := map[string]bool{}
	for _, s := range stacks(t) {
		for name := range s.of("AWS::SSM::Parameter") {
			path := properties[struct {
				Name string `yaml:"Name"`
			}](t, s, name).Name
			said[strings.Replace(path, "${Environment}", "dev", 1)] = true
		}
	}
	sought := 0
	for path, s := range stacks(t) {
		for name, p := range s.Parameters {
			if p.Type != "AWS::SSM::Parameter::Value<String>" {
				continue
			}
			sought++
			if !said[p.Default] {
				t.Errorf("%s: no stack says %s, which %s reads", path, p.Default, name)
			}
		}
	}
	if sought < 10 {
		t.Errorf("only %d parameters read what others say", sought)
	}
}

func TestNoLogIsKeptForEver(t *testing.T) {
	t.Parallel()
	logs := 0
	for path, s := range stacks(t) {
		for name := range s.of("AWS::Logs::LogGroup") {
			logs++
			if properties[struct {
				RetentionInDays string `yaml:"RetentionInDays"`
			}](t, s, name).RetentionInDays == "" {
				t.Errorf("%s: %s is kept for ever", path, name)
			}
		}
	}
	if logs == 0 {
		t.Error("there are no logs")
	}
}

func TestWhatCannotBeMadeAgainOutlivesItsStack(t *testing.T) {
	t.Parallel()
	for path, names := range map[string][]string{
		"infra/data.yaml": {"Table"}, "infra/keys.yaml": {"Key", "Keyring"}, "infra/mail.yaml": {"Identity"}, "infra/sms.yaml": {"Number"},
	} {
		for _, name := range names {
			if r := load(t, path).Resources[name]; r.DeletionPolicy != "Retain" || r.UpdateReplacePolicy != "Retain" {
				t.Errorf("%s: %s has the policies %q and %q", path, name, r.DeletionPolicy, r.UpdateReplacePolicy)
			}
		}
	}
}

func TestNoTemplateHoldsASecret(t *testing.T) {
	t.Parallel()
	secrets := 0
	for path, s := range stacks(t) {
		for name := range s.of("AWS::SecretsManager::Secret") {
			secrets++
			p := properties[map[string]yaml.Node](t, s, name)
			for _, source := range []string{"SecretString", "GenerateSecretString"} {
				if _, has := p[source]; has {
					t.Errorf("%s: %s has a value from %s", path, name, source)
				}
			}
			if key := p["KmsKeyId"]; key.Value != "Key.Arn" {
				t.Errorf("%s: %s is encrypted with %q", path, name, key.Value)
			}
		}
	}
	if secrets != 2 {
		t.Errorf("%d secrets, want the keyring and the key for trials", secrets)
	}
}

func TestKeyOfTheSecretsIsReplacedEachYear(t *testing.T) {
	t.Parallel()
	if !properties[struct {
		EnableKeyRotation bool `yaml:"EnableKeyRotation"`
	}](t, load(t, "infra/keys.yaml"), "Key").EnableKeyRotation {
		t.Error("the key is never rotated")
	}
}

func TestNobodyFollowsWhoOpensAMail(t *testing.T) {
	t.Parallel()
	s := load(t, "infra/mail.yaml")
	heard := map[string]bool{}
	for name := range s.of("AWS::SES::ConfigurationSetEventDestination") {
		p := properties[struct {
			EventDestination struct {
				MatchingEventTypes []string `yaml:"MatchingEventTypes"`
			} `yaml:"EventDestination"`
		}](t, s, name)
		for _, kind := range p.EventDestination.MatchingEventTypes {
			heard[kind] = true
		}
	}
	for kind, want := range map[string]bool{"OPEN": false, "CLICK": false, "BOUNCE": true, "COMPLAINT": true, "DELIVERY_DELAY": true} {
		if heard[kind] != want {
			t.Errorf("%s is heard of: %v", kind, heard[kind])
		}
	}
	set := properties[struct {
		DeliveryOptions struct {
			TLSPolicy string `yaml:"TlsPolicy"`
		} `yaml:"DeliveryOptions"`
	}](t, s, "ConfigurationSet")
	if set.DeliveryOptions.TLSPolicy != "REQUIRE" {
		t.Errorf("a code may cross the net in the clear: TlsPolicy %q", set.DeliveryOptions.TLSPolicy)
	}
}
