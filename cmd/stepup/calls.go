package main

import (
	"fmt"
	"io"
	"strings"
)

// call is one line to paste into a shell, and what its output must contain when
// demo runs it. Lines share the shell, so later ones see the variables of earlier
// ones.
type call struct {
	title string
	line  string
	want  string
}

// calls is the tour that dev prints and demo runs: the same text, so that what is
// printed works.
func calls(url, key string) []call {
	const auth = ` -H "Authorization: Bearer $KEY" `
	return []call{
		{"the key of a login service, and where the service is",
			`KEY=` + key + ` URL=` + url, ``},
		{"create a session for an hour, and keep its id",
			`SESSION=$(curl -s $URL/v2/sessions` + auth + `-d '{"lifetime":"3600s"}' | sed -E 's/.*"sessionId": *"([^"]+)".*/\1/'); echo $SESSION`,
			``},
		{"step it up: say who",
			`curl -s -X PATCH $URL/v2/sessions/$SESSION` + auth + `-d '{"checks":{"user":{"loginName":"` + demoUser + `"}}}'; echo`,
			`sessionToken`},
		{"step it up: check the password",
			`curl -s -X PATCH $URL/v2/sessions/$SESSION` + auth + `-d '{"checks":{"password":{"password":"` + demoPassword + `"}}}'; echo`,
			`sessionToken`},
		{"a wrong password changes nothing, and counts",
			`curl -s -X PATCH $URL/v2/sessions/$SESSION` + auth + `-d '{"checks":{"password":{"password":"wrong"}}}'; echo`,
			`COMMAND-3M0fs`},
		{"look at it",
			`curl -s $URL/v2/sessions/$SESSION` + auth + `; echo`,
			`"password"`},
		{"list the sessions that this key created",
			`curl -s $URL/v2/sessions/search` + auth + `-d '{"queries":[{"creatorQuery":{}}]}'; echo`,
			`totalResult`},
		{"end it",
			`curl -s -X DELETE $URL/v2/sessions/$SESSION` + auth + `; echo`,
			`details`},
		{"now it is gone",
			`curl -s $URL/v2/sessions/$SESSION` + auth + `; echo`,
			`QUERY-SFeaa`},
	}
}

// welcome prints what a newcomer needs, and nothing else.
func welcome(w io.Writer, url, key, data string) error {
	var b strings.Builder
	fmt.Fprintf(&b, "stepup is running at %s\n\n", url)
	fmt.Fprintf(&b, "  demo user   %s, password %q\n", demoUser, demoPassword)
	fmt.Fprintf(&b, "  API key     %s\n", key)
	fmt.Fprintf(&b, "  data, logs  %s\n\n", data)
	b.WriteString("Paste these into another terminal:\n\n")
	for _, c := range calls(url, key) {
		fmt.Fprintf(&b, "# %s\n%s\n", c.title, c.line)
	}
	b.WriteString("\nCtrl-C stops; the data stays.\n")
	_, err := io.WriteString(w, b.String())
	return err
}
