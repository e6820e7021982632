package bolt

// What the tests outside of the package reach into it for.
var (
	EncodeItem = encodeItem
	DecodeItem = decodeItem
	Tuple      = tuple
	Untuple    = untuple
	Apply      = apply
)

// KeptTokens is how many tokens a store remembers.
const KeptTokens = keptTokens
