package template

import (
	"fmt"
	"slices"
	"strings"
)

// escapeText writes text of HTML, also between quotes. A plus sign could begin text in
// UTF-7, which old readers believed to see.
var escapeText = strings.NewReplacer(
	"\x00", "\uFFFD", `"`, "&#34;", "&", "&amp;", "'", "&#39;", "+", "&#43;", "<", "&lt;", ">", "&gt;",
)

// linkBytes are what stays as it is in a link, beside letters and digits: the characters
// of RFC 3986, 2.2 and 2.3, but for quotes and parentheses.
const linkBytes = "-._~!#$&*+,/:;=?@[]"

// escapeURL writes a link. Whatever else than http and https it should turn out to be leads
// nowhere.
func escapeURL(link string) string {
	if scheme, _, ok := strings.Cut(link, "://"); link != "" && (!ok || !web(scheme)) {
		return "#"
	}
	var w strings.Builder
	for i := range len(link) {
		if b := link[i]; letter(b) || digit(b) || strings.IndexByte(linkBytes, b) >= 0 || escaped(link[i:]) {
			w.WriteByte(b)
		} else {
			fmt.Fprintf(&w, "%%%02x", b)
		}
	}
	return escapeText.Replace(w.String())
}

func web(scheme string) bool {
	return slices.Contains([]string{"http", "https"}, strings.ToLower(scheme))
}

// escaped reports whether the text begins with a percent-encoded byte.
func escaped(text string) bool {
	return len(text) >= 3 && text[0] == '%' && hex(text[1]) && hex(text[2])
}

func hex(b byte) bool { return digit(b) || 'a' <= b|0x20 && b|0x20 <= 'f' }

func digit(b byte) bool { return '0' <= b && b <= '9' }
