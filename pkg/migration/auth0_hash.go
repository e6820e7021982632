package migration

import (
	"cmp"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math/bits"
	"strconv"
	"strings"
)

// auth0Hash is a custom_password_hash.
type auth0Hash struct {
	Algorithm string `json:"algorithm"`
	Hash      struct {
		Value    string   `json:"value"`
		Encoding string   `json:"encoding"`
		Digest   string   `json:"digest"`
		Key      auth0Key `json:"key"`
	} `json:"hash"`
	Salt struct {
		Value    string `json:"value"`
		Encoding string `json:"encoding"`
		Position string `json:"position"`
	} `json:"salt"`
	Password struct {
		Encoding string `json:"encoding"`
	} `json:"password"`
	KeyLen          int `json:"keylen"`
	Cost            int `json:"cost"`
	BlockSize       int `json:"blockSize"`
	Parallelization int `json:"parallelization"`
}

type auth0Key struct {
	Value    string `json:"value"`
	Encoding string `json:"encoding"`
}

const (
	auth0HashField = "custom_password_hash"
	auth0Text      = "utf8" // the encoding of what stands as it is
)

// encode writes the hash as a modular-crypt string, whose bounds are judged on import.
func (h auth0Hash) encode() (string, error) {
	if e := h.Password.Encoding; e != "" && e != auth0Text && e != "ascii" {
		return "", at(auth0HashField+".password.encoding", "is not utf8")
	}
	switch h.Algorithm {
	case "argon2", "bcrypt":
		return h.asItIs()
	case "pbkdf2":
		value, err := h.asItIs()
		if err != nil {
			return "", err
		}
		return auth0PBKDF2(value)
	case "scrypt":
		return h.scrypt()
	default:
		return "", at(auth0HashField+".algorithm", "is none of argon2, bcrypt, pbkdf2 and scrypt")
	}
}

// asItIs returns a value that has its salt inside.
func (h auth0Hash) asItIs() (string, error) {
	switch {
	case h.Salt.Value != "":
		return "", at(auth0HashField+".salt", "stands beside a hash that has its own")
	case h.Hash.Encoding != "" && h.Hash.Encoding != auth0Text:
		return "", at(auth0HashField+".hash.encoding", "is not utf8")
	case h.Hash.Value == "":
		return "", at(auth0HashField+".hash.value", "is empty")
	}
	return h.Hash.Value, nil
}

// auth0PBKDF2 turns $pbkdf2-sha512$i=100000,l=64$salt$hash (the PHC string format) into
// $pbkdf2-sha512$100000$salt$hash. The parameters may be left out.
func auth0PBKDF2(phc string) (string, error) {
	const field = auth0HashField + ".hash.value"
	parts := strings.Split(phc, "$")
	if len(parts) == 4 && parts[0] == "" {
		parts = []string{"", parts[1], "i=100000,l=64", parts[2], parts[3]}
	}
	if len(parts) != 5 || parts[0] != "" {
		return "", at(field, "is not in the PHC string format")
	}
	rounds, size := 100_000, 64
	for pair := range strings.SplitSeq(parts[2], ",") {
		name, text, _ := strings.Cut(pair, "=")
		number, err := strconv.Atoi(text)
		switch {
		case err != nil:
			return "", at(field, "has a parameter that is no number")
		case name == "i":
			rounds = number
		case name == "l":
			size = number
		default:
			return "", at(field, "has parameters other than i and l")
		}
	}
	if key, err := base64.RawStdEncoding.DecodeString(parts[4]); err != nil || len(key) != size {
		return "", at(field, "has no hash of l bytes in base64")
	}
	return fmt.Sprintf("$%s$%d$%s$%s", parts[1], rounds, parts[3], parts[4]), nil
}

// scrypt puts together $scrypt$ln=14,r=8,p=1$salt$hash.
func (h auth0Hash) scrypt() (string, error) {
	key, err := auth0Bytes("hash", h.Hash.Value, h.Hash.Encoding)
	if err != nil {
		return "", err
	}
	salt, err := auth0Bytes("salt", h.Salt.Value, cmp.Or(h.Salt.Encoding, auth0Text))
	if err != nil {
		return "", err
	}
	cost := cmp.Or(h.Cost, 16384)
	switch {
	case h.KeyLen != len(key):
		return "", at(auth0HashField+".keylen", "is not the length of the hash")
	case cost < 2 || cost&(cost-1) != 0:
		return "", at(auth0HashField+".cost", "is not a power of two")
	}
	return fmt.Sprintf("$scrypt$ln=%d,r=%d,p=%d$%s$%s", bits.TrailingZeros(uint(cost)),
		cmp.Or(h.BlockSize, 8), cmp.Or(h.Parallelization, 1),
		base64.RawStdEncoding.EncodeToString(salt), base64.RawStdEncoding.EncodeToString(key)), nil
}

// auth0Bytes decodes a value; base64 may be that of URLs, and may be padded.
func auth0Bytes(field, value, encoding string) (b []byte, err error) {
	switch encoding {
	case auth0Text:
		b = []byte(value)
	case "hex":
		b, err = hex.DecodeString(value)
	case "base64":
		plain := strings.NewReplacer("-", "+", "_", "/", "=", "").Replace(value)
		b, err = base64.RawStdEncoding.DecodeString(plain)
	default:
		return nil, at(auth0HashField+"."+field+".encoding", "is not one that the algorithm can have")
	}
	if err != nil || len(b) == 0 {
		return nil, at(auth0HashField+"."+field+".value", "is empty or not in its encoding")
	}
	return b, nil
}
