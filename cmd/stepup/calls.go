package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/stepup-auth/stepup/cmd/stepup/internal/clock"
	"github.com/stepup-auth/stepup/pkg/notify/inbox"
	"github.com/stepup-auth/stepup/web"
)

// call is one line to paste into a shell, and what its output must contain when
// demo runs it. Lines share the shell, so later ones see the variables of earlier
// ones.
type call struct {
	title string
	line  string
	want  string
}

const (
	auth = ` -H "Authorization: Bearer $KEY" `
	// What the answers hold: that to a step, to the request for a code, and to other
	// changes.
	stepped = "sessionToken"
	asked   = "challenges"
	done    = "details"
)

// calls is the tour that dev prints and demo runs: the same text, so that what is
// printed works.
func calls(url, key string) ([]call, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("where this program is: %w", err)
	}
	return slices.Concat(sessionCalls(url, key, program), testCalls(), lastCalls()), nil
}

// sessionCalls step a session up with one factor after the other.
func sessionCalls(url, key, program string) []call {
	return []call{
		{"the key of a login service, where the service is, and this program",
			`KEY=` + key + ` URL=` + url + ` STEPUP=` + program, ``},
		{"create a session for an hour, and keep its id",
			`SESSION=$(curl -s $URL/v2/sessions` + auth + `-d '{"lifetime":"3600s"}' | sed -E 's/.*"sessionId": *"([^"]+)".*/\1/'); echo $SESSION`,
			``},
		{"step it up: say who",
			`curl -s -X PATCH $URL/v2/sessions/$SESSION` + auth + `-d '{"checks":{"user":{"loginName":"` + demoUser + `"}}}'; echo`,
			stepped},
		{"step it up: check the password",
			`curl -s -X PATCH $URL/v2/sessions/$SESSION` + auth + `-d '{"checks":{"password":{"password":"` + demoPassword + `"}}}'; echo`,
			stepped},
		{"a wrong password changes nothing, and counts",
			`curl -s -X PATCH $URL/v2/sessions/$SESSION` + auth + `-d '{"checks":{"password":{"password":"wrong"}}}'; echo`,
			`COMMAND-3M0fs`},
		{"a one-time code by SMS: set it up, ask for it, read the inbox, answer",
			`curl -s -X POST $URL/v2/users/` + demoUserID + `/otp_sms` + auth + `-d '{}'; echo`, done},
		{"",
			`curl -s -X PATCH $URL/v2/sessions/$SESSION` + auth + `-d '{"challenges":{"otpSms":{}}}'; echo`, asked},
		{"",
			`CODE=$(curl -s $URL/dev/inbox | grep -oE '"code":"[0-9]+"' | head -1 | grep -oE '[0-9]+'); echo $CODE`, ``},
		{"",
			`curl -s -X PATCH $URL/v2/sessions/$SESSION` + auth + `-d '{"checks":{"otpSms":{"code":"'$CODE'"}}}'; echo`, stepped},
		{"the same by mail; with {\"returnCode\":{}} the code would be handed to you instead",
			`curl -s -X POST $URL/v2/users/` + demoUserID + `/otp_email` + auth + `-d '{}'; echo`, done},
		{"",
			`curl -s -X PATCH $URL/v2/sessions/$SESSION` + auth + `-d '{"challenges":{"otpEmail":{}}}'; echo`, asked},
		{"",
			`CODE=$(curl -s $URL/dev/inbox | grep -oE '"code":"[0-9]+"' | head -1 | grep -oE '[0-9]+'); echo $CODE`, ``},
		{"",
			`curl -s -X PATCH $URL/v2/sessions/$SESSION` + auth + `-d '{"checks":{"otpEmail":{"code":"'$CODE'"}}}'; echo`, stepped},
		{"an authenticator app, with this program as the app",
			`SECRET=$(curl -s -X POST $URL/v2/users/` + demoUserID + `/totp` + auth + `-d '{}' | sed -E 's/.*"secret": *"([^"]+)".*/\1/'); echo $SECRET`, ``},
		{"",
			`curl -s -X POST $URL/v2/users/` + demoUserID + `/totp/verify` + auth + `-d '{"code":"'$($STEPUP totp $SECRET)'"}'; echo`, done},
		{"the code that verified it is used up; the next one steps the session up",
			`curl -s -X PATCH $URL/v2/sessions/$SESSION` + auth + `-d '{"checks":{"totp":{"code":"'$($STEPUP totp --in 30s $SECRET)'"}}}'; echo`, stepped},
		{"look at it",
			`curl -s $URL/v2/sessions/$SESSION` + auth + `; echo`,
			`"totp"`},
		{"list the sessions that this key created",
			`curl -s $URL/v2/sessions/search` + auth + `-d '{"queries":[{"creatorQuery":{}}]}'; echo`,
			`totalResult`},
	}
}

// testCalls show what is there for automatic tests. docs/development.md has them too.
func testCalls() []call {
	return []call{
		{"a user for automatic tests: the code is always the same, and no message leaves",
			`curl -s $URL/v2/users/human` + auth + `-d '{"userId":"ci","profile":{"givenName":"Test","familyName":"User"},"email":{"email":"` + demoTester + `","sendCode":{}}}'; echo`,
			`userId`},
		{"",
			`curl -s $URL/v2/users/ci/email/verify` + auth + `-d '{"verificationCode":"` + demoCode + `"}'; echo`, done},
		{"",
			`curl -s $URL/v2/users/ci/otp_email` + auth + `-d '{}'; echo`, done},
		{"",
			`CI=$(curl -s $URL/v2/sessions` + auth + `-d '{"checks":{"user":{"userId":"ci"}},"challenges":{"otpEmail":{}}}' | sed -E 's/.*"sessionId": *"([^"]+)".*/\1/'); echo $CI`, ``},
		{"",
			`curl -s -X PATCH $URL/v2/sessions/$CI` + auth + `-d '{"checks":{"otpEmail":{"code":"` + demoCode + `"}}}'; echo`, stepped},
		{"see it expire without waiting: ask for another, move the clock of the service, answer",
			`curl -s -X PATCH $URL/v2/sessions/$CI` + auth + `-d '{"challenges":{"otpEmail":{}}}'; echo`, asked},
		{"",
			`curl -s -X POST "$URL` + clock.Path + `?advance=6m"; echo`, `"offset":"6m0s"`},
		{"",
			`curl -s -X PATCH $URL/v2/sessions/$CI` + auth + `-d '{"checks":{"otpEmail":{"code":"` + demoCode + `"}}}'; echo`, `Code is expired`},
	}
}

// lastCalls end the session.
func lastCalls() []call {
	return []call{
		{"end it",
			`curl -s -X DELETE $URL/v2/sessions/$SESSION` + auth + `; echo`,
			done},
		{"now it is gone",
			`curl -s $URL/v2/sessions/$SESSION` + auth + `; echo`,
			`QUERY-SFeaa`},
	}
}

// welcome prints what a newcomer needs, and nothing else.
func welcome(w io.Writer, data, url, key string) error {
	tour, err := calls(url, key)
	if err != nil {
		return err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "stepup is running at %s\n\n", url)
	fmt.Fprintf(&b, "  demo user   %s, password %q\n", demoUser, demoPassword)
	fmt.Fprintf(&b, "  API key     %s\n", key)
	fmt.Fprintf(&b, "  inbox       %s%s\n", url, inbox.Path)
	fmt.Fprintf(&b, "  clock       %s%s\n", url, clock.Path)
	fmt.Fprintf(&b, "  passkeys    %s%s#key=%s\n", url, web.PasskeyPath, key)
	fmt.Fprintf(&b, "  data, logs  %s\n\n", data)
	b.WriteString("Paste these into another terminal:\n\n")
	for _, c := range tour {
		if c.title != "" {
			fmt.Fprintf(&b, "# %s\n", c.title)
		}
		fmt.Fprintf(&b, "%s\n", c.line)
	}
	b.WriteString("\nCtrl-C stops; the data stays.\n")
	_, err = io.WriteString(w, b.String())
	return err
}
