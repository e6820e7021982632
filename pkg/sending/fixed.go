package sending

import "strings"

// FixedCodes are codes by address, for automatic tests: whoever owns such an address
// gets always this code, and no message leaves. A mail address is in lower case, a
// number in E.164 form. The zero value has none.
type FixedCodes map[string]string

// Code returns the code of an address, whatever its capitals, and whether it has one.
func (f FixedCodes) Code(address string) (string, bool) {
	code, ok := f[strings.ToLower(address)]
	return code, ok
}
