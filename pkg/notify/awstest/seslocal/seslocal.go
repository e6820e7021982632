// Package seslocal owns the second opinion about mail: it runs aws-ses-v2-local, which
// stands in for SES and was written by others, so that what the tests take for a mail
// is not only what package awstest takes for one. It knows no failures and refuses
// little; awstest does that.
//
// It needs Node.js, and is installed with
//
//	npm ci --prefix test/emulators --ignore-scripts --no-audit --no-fund
package seslocal

import (
	"encoding/json"
	"net/http"
	"os/exec"
	"testing"

	"github.com/stepup-auth/stepup/test/emulators"
)

// Mail is a mail that the server took.
type Mail struct {
	MessageID   string   `json:"messageId"`
	From        string   `json:"from"`
	ReplyTo     []string `json:"replyTo"`
	Destination struct {
		To  []string `json:"to"`
		Cc  []string `json:"cc"`
		Bcc []string `json:"bcc"`
	} `json:"destination"`
	Subject string `json:"subject"`
	Body    struct {
		Text string `json:"text"`
		HTML string `json:"html"`
	} `json:"body"`
}

// Server is one that runs.
type Server struct {
	// URL is the endpoint for the client of SES.
	URL string
}

// Start returns a server that lives as long as the test. It takes a second to start.
func Start(t testing.TB) Server {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Fatalf("aws-ses-v2-local needs Node.js: %v", err)
	}
	program, err := emulators.Locate("aws-ses-v2-local/dist/cli.js")
	if err != nil {
		t.Fatal(err)
	}
	s, err := emulators.Start(node, program)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return Server{URL: "http://" + s.Addr}
}

// Mails returns the mails that were taken, oldest first.
func (s Server) Mails(t testing.TB) []Mail {
	t.Helper()
	response, err := http.Get(s.URL + "/store")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close() //nolint:errcheck // all of it was read
	var store struct {
		Emails []Mail `json:"emails"`
	}
	if err := json.NewDecoder(response.Body).Decode(&store); err != nil {
		t.Fatalf("%s: %v", response.Status, err)
	}
	return store.Emails
}
