package phone

import (
	_ "embed" // the numbering plans
	"regexp"
	"slices"
	"strings"
)

// plans is made by TestPlansAreThoseOfTheLibrary, from the metadata of libphonenumber. A
// line is the plan of a country, its fields are those of a plan, and countries that share
// a calling code stand in the order in which they are asked. It is text in the binary
// that is only looked through when a number is read, so that a start costs nothing; the
// library decodes all of it, and its display names, whenever a process starts.
//
//go:embed plans.txt
var plans string

// How many digits the part after the calling code has, in libphonenumber's lenient count
// (ITU-T E.164 allows 15 with the code).
const (
	minNational = 2
	maxNational = 17
)

// plan is how a country numbers its telephones. Patterns are regular expressions for
// national numbers, and empty where there is none.
type plan struct {
	country string
	// leading is how numbers begin that belong to this country alone of those that
	// share the calling code.
	leading string
	// trunk is what people dial before a number inside the country, and replacement
	// what it becomes when the part that it captures stands for something.
	trunk, replacement string
	// local are lengths that can only be dialed within an area.
	local lengths
	// general describes all numbers, and kinds those of one use: mobile, fixed, and
	// so on.
	general series
	kinds   []series
}

// series is a set of numbers: those that the pattern describes and that have one of the
// lengths. No lengths are any.
type series struct {
	lengths lengths
	pattern string
}

// lengths are numbers of digits, one character for each: "a" is 1, "j" is 10.
type lengths string

func (l lengths) include(digits int) bool {
	return strings.IndexByte(string(l), byte('a'-1+digits)) >= 0
}

func (l lengths) longest() int { return int(l[len(l)-1]) - ('a' - 1) }

// plansOf splits digits after the calling code, and returns the plans of the countries
// that share it. No code is the beginning of another.
func plansOf(digits string) (code, national string, sharing []plan) {
	for line := range strings.Lines(plans) {
		prefix, fields, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		if rest, ok := strings.CutPrefix(digits, prefix); ok {
			code, national, sharing = prefix, rest, append(sharing, newPlan(strings.Split(fields, "\t")))
		}
	}
	return code, national, sharing
}

// newPlan makes a plan of the fields of a line after the calling code.
func newPlan(fields []string) plan {
	p := plan{country: fields[0], leading: fields[1], trunk: fields[2], replacement: fields[3], local: lengths(fields[4])}
	for pair := range slices.Chunk(fields[5:], 2) {
		p.kinds = append(p.kinds, series{lengths(pair[0]), pair[1]})
	}
	p.general, p.kinds = p.kinds[0], p.kinds[1:]
	return p
}

// ownerOf returns the plan of the country that the number belongs to.
func ownerOf(national string, sharing []plan) (plan, bool) {
	if len(sharing) == 1 {
		return sharing[0], true
	}
	i := slices.IndexFunc(sharing, func(p plan) bool {
		if p.leading == "" {
			return p.has(national)
		}
		return prefix(p.leading).MatchString(national)
	})
	if i < 0 {
		return plan{}, false
	}
	return sharing[i], true
}

// has reports whether the country has such a number: one of some use.
func (p plan) has(national string) bool {
	return p.general.has(national) && slices.ContainsFunc(p.kinds, func(s series) bool { return s.has(national) })
}

func (s series) has(national string) bool {
	return (s.lengths == "" || s.lengths.include(len(national))) && whole(s.pattern).MatchString(national)
}

// withoutTrunk returns the number without what is only dialed inside the country, as in
// "+41 (0)44", if there is such a thing and what remains can be a number.
func (p plan) withoutTrunk(national string) string {
	if p.trunk == "" {
		return national
	}
	trunk := prefix(p.trunk)
	groups := trunk.FindStringSubmatchIndex(national)
	if groups == nil {
		return national
	}
	stripped := national[groups[1]:]
	if captured := groups[len(groups)-1] >= 0; p.replacement != "" && captured {
		stripped = trunk.ReplaceAllString(national, p.replacement)
	}
	general := whole(p.general.pattern)
	if general.MatchString(national) && !general.MatchString(stripped) || !p.possible(len(stripped)) {
		return national
	}
	return stripped
}

// possible reports whether a number with so many digits is not too short. One that is too
// long may be, because the plan refuses it later.
func (p plan) possible(digits int) bool {
	return !p.local.include(digits) && (p.general.lengths.include(digits) || digits > p.general.lengths.longest())
}

func prefix(pattern string) *regexp.Regexp { return regexp.MustCompile("^(?:" + pattern + ")") }

func whole(pattern string) *regexp.Regexp { return regexp.MustCompile("^(?:" + pattern + ")$") }
