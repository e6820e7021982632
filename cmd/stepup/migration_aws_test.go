package main_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stepup-auth/stepup/pkg/table/tabletest/dynoxide"
)

// onDynamoDB is the environment of a command that works on a fresh table.
func onDynamoDB(t *testing.T) []string {
	t.Helper()
	client, name := dynoxide.NewTable(t, dynoxide.Options{})
	keyring := filepath.Join(t.TempDir(), "keyring.json")
	writeFile(t, keyring, run(t, nil, "keyring", "generate").out)
	return []string{
		"STEPUP_TABLE=" + name, "STEPUP_KEYRING=file:" + keyring, "AWS_ENDPOINT_URL_DYNAMODB=" + *client.Options().BaseEndpoint,
		"AWS_REGION=eu-central-1", "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test", "AWS_EC2_METADATA_DISABLED=true",
	}
}

// TestUsersMoveFromALaptopIntoDynamoDBAndOn runs the commands that an operator runs.
func TestUsersMoveFromALaptopIntoDynamoDBAndOn(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/migration.md")
	if err != nil {
		t.Fatal(err)
	}
	folder, env := t.TempDir(), onDynamoDB(t)
	in, out := filepath.Join(folder, "in"), filepath.Join(folder, "out")
	var lines strings.Builder
	for n := range 300 {
		lines.WriteString(userLine(n))
	}
	writeFile(t, in, block(t, string(text), "jsonl")+lines.String())
	if e := run(t, env, "import", in); e.code != 0 || !strings.Contains(e.out, "302 created, 0 unchanged, 0 refused") {
		t.Fatalf("import: %+v", e)
	}
	if e := run(t, env, "import", in); e.code != 0 || !strings.Contains(e.out, "0 created, 302 unchanged, 0 refused") {
		t.Errorf("again: %+v", e)
	}
	if e := run(t, env, "export", out, "--with-secrets"); e.code != 0 {
		t.Fatalf("export: %+v", e)
	}
	if e := run(t, onDynamoDB(t), "import", out); e.code != 0 || !strings.Contains(e.out, "302 created, 0 unchanged, 0 refused") {
		t.Errorf("into another deployment: %+v", e)
	}
}
