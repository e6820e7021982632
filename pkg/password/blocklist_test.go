package password_test

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stepup-auth/stepup/pkg/password"
)

func TestP2_CommonPasswordsAreAtLeast3000ThatLengthAloneWouldLetPass(t *testing.T) {
	t.Parallel()
	list := password.Common()
	blocking := password.Policy{Blocked: list.Contains}
	n := 0
	for word := range strings.Lines(string(list)) {
		word = strings.TrimSuffix(word, "\n")
		if err := (password.Policy{}).Check(word); err != nil {
			t.Errorf("%q: %v", word, err)
		}
		// Looking for every word would look through the list thousands of times.
		if n%100 == 0 && !errors.Is(blocking.Check(word), password.ErrCommon) {
			t.Errorf("%q is on the list and may be chosen", word)
		}
		n++
	}
	if n < 3000 {
		t.Errorf("%d passwords", n)
	}
	for _, word := range []string{"password", "PassWord", "12345678", "qwertyuiop", "iloveyou", "Trustno1"} {
		if !list.Contains(word) {
			t.Errorf("%q may be chosen", word)
		}
	}
	if list.Contains("correct horse battery") {
		t.Error("the password of the demo may not be chosen")
	}
}

func TestP2_BlocklistHoldsWholePasswordsInAnyMixOfCapitals(t *testing.T) {
	t.Parallel()
	list, err := password.ParseBlocklist([]byte("Musterbank\r\n\n Ärger mit Leerzeichen \r\nlast"))
	if err != nil {
		t.Fatal(err)
	}
	for word, want := range map[string]bool{
		"Musterbank": true, "MUSTERBANK": true, "musterbank": true, " ärger MIT leerzeichen ": true, "last": true,
		"": false, "\r": false, "Muster": false, "Musterbank1": false, "Ärger mit Leerzeichen": false, "Musterbank\r": false,
		"Musterbank\r\n\n Ärger mit Leerzeichen ": false,
	} {
		if got := list.Contains(word); got != want {
			t.Errorf("Contains(%q) = %t", word, got)
		}
	}
	both := password.Blocklist("one").With("two\nthree")
	for word, want := range map[string]bool{"one": true, "two": true, "three": true, "onetwo": false, "": false} {
		if got := both.Contains(word); got != want {
			t.Errorf("both: Contains(%q) = %t", word, got)
		}
	}
	if password.Blocklist("").Contains("") {
		t.Error("the zero Blocklist blocks something")
	}
}

func TestP2_ListThatCannotBeMeantIsRefused(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{"empty": "", "blank": "\n\r\n\n", "UTF-16": "\xff\xfep\x00a\x00"} {
		if list, err := password.ParseBlocklist([]byte(text)); err == nil || list != "" {
			t.Errorf("%s: %q, %v", name, list, err)
		}
	}
}

// A second implementation, which remembers every line.
func FuzzBlocklistHoldsItsLines(f *testing.F) {
	f.Add("a\nB\r\n\nc", "b")
	f.Add("Straße\nK", "k")
	f.Add("one\ntwo", "one\ntwo")
	f.Fuzz(func(t *testing.T, text, plain string) {
		list, err := password.ParseBlocklist([]byte(text))
		var lines []string
		for line := range strings.SplitSeq(text, "\n") {
			if line = strings.TrimSuffix(line, "\r"); line != "" {
				lines = append(lines, line)
			}
		}
		if (err == nil) != (utf8.ValidString(text) && len(lines) > 0) {
			t.Fatalf("ParseBlocklist(%q) = %v", text, err)
		}
		if err != nil {
			return
		}
		want := false
		for _, line := range lines {
			want = want || strings.EqualFold(line, plain)
			if !list.Contains(line) || !list.Contains(strings.ToUpper(line)) && strings.EqualFold(line, strings.ToUpper(line)) {
				t.Errorf("%q is a line of %q and not on the list", line, text)
			}
		}
		if got := list.Contains(plain); got != want {
			t.Errorf("Contains(%q) = %t with %q", plain, got, text)
		}
	})
}

func BenchmarkCommonDoesNotContain(b *testing.B) {
	list := password.Common()
	b.ReportAllocs()
	for b.Loop() {
		if list.Contains("correct horse battery") {
			b.Fatal("found")
		}
	}
}
