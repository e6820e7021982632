package password_test

// plain is the password of all vectors.
const plain = "correct horse battery stäple"

// vectors were computed outside this program and outside Go: argon2 by OpenSSL,
// scrypt and PBKDF2 by Python's hashlib, bcrypt by libxcrypt. Salt (and with it
// every encoding) contains characters in which the base64 alphabets differ.
var vectors = map[string]string{
	"argon2id, least memory":    "$argon2id$v=19$m=64,t=1,p=1$++++MDEyMzQ1Njc4OWFiYw$AbsuFRn02W2MHpKTvmQZI9cOxtJanr4fy0CUZsQ208c",
	"argon2id, 4 lanes":         "$argon2id$v=19$m=256,t=2,p=4$++++MDEyMzQ1Njc4OWFiYw$fqTINmpwJu/xGWpDTxmWgVsC21xD+Dt4duC4DiFaUvM",
	"argon2id, 16 bytes":        "$argon2id$v=19$m=8192,t=3,p=2$++++MDEyMzQ1Njc4OWFiYw$K6+w8RWSih8Ijv/BiHAVUA",
	"argon2id, uneven memory":   "$argon2id$v=19$m=100,t=2,p=3$++++MDEyMzQ1Njc4OWFiYw$xlRuopHTrS3Olv9N+YAJzs0aSLotoJtq",
	"argon2i, 4 lanes":          "$argon2i$v=19$m=256,t=2,p=4$++++MDEyMzQ1Njc4OWFiYw$QVC+NA/KsasB968sIVM9VkZ11WQsimv7Z4FuXwDHkIw",
	"argon2i, uneven memory":    "$argon2i$v=19$m=100,t=2,p=3$++++MDEyMzQ1Njc4OWFiYw$4Vti+a/E2sF4jvBBwSAt3K4BXo3DaCAY",
	"argon2d, 4 lanes":          "$argon2d$v=19$m=256,t=2,p=4$++++MDEyMzQ1Njc4OWFiYw$jrM3o38l4TykpnjgbC+7U2pPW65vw+6l2bnrPYzIvnw",
	"argon2d, least memory":     "$argon2d$v=19$m=64,t=1,p=1$++++MDEyMzQ1Njc4OWFiYw$GsHYidvfwbYL5fOcOu4n0M1tW3xQzoI0FO9AMyrtTx8",
	"bcrypt 2a":                 "$2a$04$abcdefghijklmnopqrstuuUmjNXq1XyawyZ/BlKYVX3Rw7vQMuTEm",
	"bcrypt 2b":                 "$2b$04$abcdefghijklmnopqrstuuUmjNXq1XyawyZ/BlKYVX3Rw7vQMuTEm",
	"bcrypt 2y":                 "$2y$04$abcdefghijklmnopqrstuuUmjNXq1XyawyZ/BlKYVX3Rw7vQMuTEm",
	"scrypt, N=16":              "$scrypt$ln=4,r=8,p=1$++++MDEyMzQ1Njc4OWFiYw$Opk7IOQdIBRLolQAIf5Cn/3NErVj1wxbLxc+NOt+vU4",
	"scrypt, N=1024":            "$scrypt$ln=10,r=8,p=1$++++MDEyMzQ1Njc4OWFiYw$aDrPBR05yjjzcO8CmzRQqDBSyXyJ/1pfFHQbHvyhGH8",
	"scrypt, r=4 p=4, 64 bytes": "$scrypt$ln=10,r=4,p=4$++++MDEyMzQ1Njc4OWFiYw$fxA0ORhEjgL+cQNFarXJx5fJXftkoSVHcExuqV6sM5a/w7Ck6VsQ2Ay/6eQC3Aw48S/sqIkTuxwUuz2oQacmkA",
	"pbkdf2":                    "$pbkdf2$1000$....MDEyMzQ1Njc4OWFiYw$j1JU79fQDYfRgXrvhnire.ys32w",
	"pbkdf2-sha1":               "$pbkdf2-sha1$1000$....MDEyMzQ1Njc4OWFiYw$j1JU79fQDYfRgXrvhnire.ys32w",
	"pbkdf2-sha224":             "$pbkdf2-sha224$1000$....MDEyMzQ1Njc4OWFiYw$dMXa8Keuk1T4JJtDyuwlChx64n7OzMMoudPIvw",
	"pbkdf2-sha256":             "$pbkdf2-sha256$1000$....MDEyMzQ1Njc4OWFiYw$OXvG08nAtkkEXT/6Rjd5t/SDBHNk2brLjlSeHdJJK5A",
	"pbkdf2-sha384":             "$pbkdf2-sha384$1000$....MDEyMzQ1Njc4OWFiYw$1Yn8jvyBoJnp1oIaT4LhnzW/FqRYTW8ghvthr37FI5u1VcKNdwKqYTTuE173YtiH",
	"pbkdf2-sha512":             "$pbkdf2-sha512$1000$....MDEyMzQ1Njc4OWFiYw$9nFObVplUQdbXteds1B.tX3uO9US9IupQuZZv2f3VIKZ57j3PKs3L3Uy0N20Z29H881PRasqcuPHjEsJJpMwiA",
	"pbkdf2-sha256, std base64": "$pbkdf2-sha256$1000$++++MDEyMzQ1Njc4OWFiYw==$OXvG08nAtkkEXT/6Rjd5t/SDBHNk2brLjlSeHdJJK5A=",
	"pbkdf2-sha256, two blocks": "$pbkdf2-sha256$1000$....MDEyMzQ1Njc4OWFiYw$OXvG08nAtkkEXT/6Rjd5t/SDBHNk2brLjlSeHdJJK5D21DsWUbjLUN.6Hi2in3OFpRT6CfTMYGbXW2vdomNVvw",
	"argon2id of DefaultParams": defaultVector,
	"bcrypt, cost 6":            "$2b$06$abcdefghijklmnopqrstuu6t.rgjCfEozxPBbiLbbonzGeVyLoAo6",
	"scrypt, N=2^14":            "$scrypt$ln=14,r=8,p=1$++++MDEyMzQ1Njc4OWFiYw$QnRtW2wfdl7JFgS6X+JebwHcy/nkEPP1HbJgGRDg+nM",
	"argon2i of DefaultParams":  "$argon2i$v=19$m=19456,t=2,p=1$++++MDEyMzQ1Njc4OWFiYw$RUP8kaco4uyVYOBuJ9GtTSCReX4BNE8KvWEvnDDvuVA",
}

// defaultVector is a hash of plain under DefaultParams.
const defaultVector = "$argon2id$v=19$m=19456,t=2,p=1$++++MDEyMzQ1Njc4OWFiYw$UCKmtRjXvxFNgDvN5KUGgG5GcAxzFcH4ZB6rTVb2Ju8"

// Hashes by libxcrypt of passwords at the edges of what bcrypt reads.
const (
	bcryptOf71x  = "$2b$04$abcdefghijklmnopqrstuu.gc7UY/21CSNJGJg21jJzx9QiOpJ9bO"
	bcryptOf80x  = "$2b$04$abcdefghijklmnopqrstuubzadhGtS2zEF.gu0yd0opP6cVzb.e0i"
	bcryptOfA    = "$2b$04$abcdefghijklmnopqrstuuMFdJu9yVgmagVAIC24fOZkaFqd3s9JC"
	bcryptOfNone = "$2b$04$abcdefghijklmnopqrstuubyCG3zY1GIXMyxfivm.ClDiInHzxjiq"
)
