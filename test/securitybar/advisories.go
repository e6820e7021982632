package securitybar

import (
	"regexp"
	"strings"
)

// Advisory is a defect of another product, published as a CVE, an issue or a pull request,
// that must not be ours.
type Advisory struct {
	// Tag is what tests carry in their names: CVE_2023_47111, or Issue6452 for one of ZITADEL's
	// issues, or Authentik25496 for one of another product.
	Tag string
	// Product is whose defect it was, and What went wrong there.
	Product, What string
	// Reason says why there is no test. An advisory has either a test or a reason.
	Reason string
}

// name is how the advisory is cited.
func (a Advisory) name() string {
	if strings.HasPrefix(a.Tag, "CVE_") {
		return strings.ReplaceAll(a.Tag, "_", "-")
	}
	return "#" + number.FindString(a.Tag)
}

var number = regexp.MustCompile(`[0-9]+$`)

// Advisories are the defects that tests are named after.
func Advisories() []Advisory {
	return []Advisory{
		{Tag: "CVE_2023_47111", Product: "ZITADEL", What: "Parallel checks each saw a count of failures below the limit, and got past the lockout."},
		{Tag: "CVE_2024_32868", Product: "ZITADEL", What: "Codes of a second factor could be guessed without limit."},
		{Tag: "CVE_2025_64102", Product: "ZITADEL", What: "Limits on guesses were off by default, and newer calls did not have all of them."},
		{Tag: "CVE_2025_46815", Product: "ZITADEL", What: "A sign-in at an identity provider could be used again and again."},
		{Tag: "CVE_2025_64103", Product: "ZITADEL", What: "One factor was enough where two were set up, unless a policy asked for both."},
		{Tag: "CVE_2024_39683", Product: "ZITADEL", What: "Whoever listed the sessions of their browser got those of everybody who had named none."},
		{Tag: "CVE_2023_49097", Product: "ZITADEL", What: "Links in mails led to the host that a header of the request named."},
		{Tag: "CVE_2025_64101", Product: "ZITADEL", What: "They did so again."},
		{Tag: "CVE_2023_22492", Product: "ZITADEL", What: "Users who were locked or deactivated went on getting tokens."},
		{Tag: "CVE_2024_47000", Product: "ZITADEL", What: "Service accounts that were deactivated did so."},
		{
			Tag: "CVE_2024_41952", Product: "ZITADEL", What: "A setting that hides who has an account did not hide it in all answers.",
			Reason: "There is no such setting. Calls that name a user are for trusted callers, who are told that nobody has the name; others are refused before any look-up (row S15), and an unknown user takes as long as a wrong password (row P6).",
		},
		{Tag: "CVE_2025_64717", Product: "ZITADEL", What: "Accounts at identity providers were linked to users by themselves, where that was not allowed."},
		{Tag: "CVE_2026_27840", Product: "ZITADEL", What: "A token that was cut short was still good."},
		{Tag: "CVE_2026_55670", Product: "ZITADEL", What: "A user with the id of a deleted one came up in the organization of that one."},
		{Tag: "Issue6452", Product: "ZITADEL", What: "A code of an authenticator app could be replayed while it was current."},
		{Tag: "Issue7186", Product: "ZITADEL", What: "One challenge sent text messages without end."},
		{Tag: "Issue12622", Product: "ZITADEL", What: "A code could be sent again thousands of times."},
		{Tag: "Issue12656", Product: "ZITADEL", What: "A double submit left the browser with a dead token, and no way back in."},
		{Tag: "Authentik25496", Product: "authentik", What: "Starting over gave a fresh budget of guesses and messages."},
		{Tag: "Keycloak2FA146", Product: "keycloak-2fa-email-authenticator", What: "Hundreds of codes could be tried within seconds."},
	}
}
