// Package price owns what a message is reckoned to cost. Prices are estimates, because
// providers change theirs, round parts of long messages up and bill by carrier: they
// bound what a day can cost, and are no bill.
package price

import (
	"errors"
	"strconv"
	"strings"

	"github.com/stepup-auth/stepup/pkg/phone"
)

// Micros is an amount in millionths of a US dollar.
type Micros int64

// USD is a dollar.
const USD Micros = 1_000_000

// List holds prices by the beginning of the number that a message goes to, such as "+41"
// or "+4179". The longest beginning counts; the empty one is for all else. Mail
// addresses begin with none of the others.
type List map[string]Micros

// Of returns what one message to the address costs, 0 where the list says nothing.
func (l List) Of(address string) Micros {
	for end := len(address); end > 0; end-- {
		if p, ok := l[address[:end]]; ok && strings.HasPrefix(address, "+") {
			return p
		}
	}
	return l[""]
}

// Examples are example prices of text messages, written in November 2026 from no
// provider's list: replace them with your own. The price for all else is high on purpose,
// so that a forgotten country ends the day early and not late.
func Examples() List {
	return List{
		"": USD / 4, "+1": USD / 100, "+33": 7 * USD / 100, "+41": 7 * USD / 100, "+43": 10 * USD / 100,
		"+44": 5 * USD / 100, "+49": 11 * USD / 100, "+423": 7 * USD / 100,
	}
}

// Mail is an example price of one mail, as much an estimate as Examples.
const Mail = USD / 10_000

// ErrAmount and ErrList say what is wrong with a text.
var (
	ErrAmount = errors.New("is not an amount in USD, such as 0.10")
	ErrList   = errors.New("is not a list of beginnings and amounts in USD with * for all else, such as +41=0.07,*=0.25")
)

// maxUSD keeps sums of a day far from overflow.
const maxUSD = 1e6

// Parse reads an amount in USD, "0.0075", of at most a million.
func Parse(text string) (Micros, error) {
	usd, err := strconv.ParseFloat(text, 64)
	if err != nil || !(usd >= 0 && usd <= maxUSD) {
		return 0, ErrAmount
	}
	return Micros(usd*float64(USD) + 0.5), nil
}

// ParseList reads "+41=0.07,+1=0.01,*=0.25". The entry for all else is required: without
// it an unknown country would cost nothing.
func ParseList(text string) (List, error) {
	l := make(List)
	for entry := range strings.SplitSeq(text, ",") {
		prefix, amount, _ := strings.Cut(strings.TrimSpace(entry), "=")
		p, err := Parse(amount)
		if err != nil {
			return nil, ErrList
		}
		if prefix == "*" {
			prefix = ""
		} else if phone.CheckPrefixes([]string{prefix}) != nil {
			return nil, ErrList
		}
		if _, twice := l[prefix]; twice {
			return nil, ErrList
		}
		l[prefix] = p
	}
	if _, ok := l[""]; !ok {
		return nil, ErrList
	}
	return l, nil
}
