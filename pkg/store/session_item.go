package store

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/otp"
	"github.com/stepup-auth/stepup/pkg/session"
	"github.com/stepup-auth/stepup/pkg/table"
)

// Attributes of a session. Names are short because every byte of every session is
// paid for on every write.
const (
	attrVersion       = "v" // sequence
	attrRevision      = "r"
	attrToken         = "tok" // id of the current token
	attrCreated       = "cr"
	attrChanged       = "ch"
	attrCreator       = "by"
	attrExpires       = "exp"
	attrLimited       = "lim"  // that the expiry is by the limits
	attrAsked         = "expa" // and the one that was asked for
	attrTerminated    = "end"
	attrUserFactor    = "usr"
	attrPassword      = "pw"   // this and the next are when a factor was verified
	attrPasswordOf    = "pwof" // when the verified password had been set
	attrTOTP          = "totp"
	attrSMS           = "sms"
	attrMail          = "mail"
	attrRecovery      = "rec"
	attrIntent        = "idp"
	attrKeyFactor     = "key"
	attrSMSCode       = "csms" // open challenges
	attrMailCode      = "cmail"
	attrKeyChallenges = "ckey"
	attrMetadata      = "md"
	attrAgent         = "ua"

	attrID          = "id"
	attrOrg         = "org"
	attrAt          = "at"
	attrEpoch       = "ep"
	attrFingerprint = "fp"
	attrIP          = "ip"
	attrDescription = "d"
	attrHeader      = "h"
	attrKeyID       = "k"
	attrTries       = "n"
	attrRegion      = "reg"
)

// How long an item outlives its meaning, so that a late caller is told what
// happened rather than that nothing was ever there.
const (
	expiryGrace   = 24 * time.Hour
	tombstoneLife = 24 * time.Hour
)

func sessionItem(s *session.Session) table.Item {
	r := newRecord()
	put(r, attrVersion, int64(s.Sequence))
	put(r, attrRevision, int64(s.Revision))
	r.putBytes(attrToken, s.TokenID[:])
	r.putTime(attrCreated, s.Created)
	r.putTime(attrChanged, s.Changed)
	put(r, attrCreator, s.Creator)
	r.putTime(attrExpires, s.ExpiresAt)
	put(r, attrLimited, s.Limited)
	r.putTime(attrAsked, s.Asked)
	r.putTime(attrTerminated, s.TerminatedAt)
	putFactors(r, s.Factors)
	r.putMap(attrSMSCode, codeMap(s.Challenges.SMS))
	r.putMap(attrMailCode, codeMap(s.Challenges.Email))
	putChallenges(r, s.Challenges.Keys)
	r.putMap(attrMetadata, metadataMap(s.Metadata))
	r.putMap(attrAgent, agentMap(s.Agent))
	putReceipts(r, s.Receipts)
	put(r, attrTTL, sessionTTL(s))
	if s.TerminatedAt.IsZero() {
		putIndexKeys(r, s)
	}
	return r.item
}

// sessionTTL returns the epoch second after which the item may be swept, 0 for
// never.
func sessionTTL(s *session.Session) int64 {
	switch {
	case !s.TerminatedAt.IsZero():
		return s.TerminatedAt.Add(tombstoneLife).Unix()
	case !s.ExpiresAt.IsZero():
		return s.ExpiresAt.Add(expiryGrace).Unix()
	default:
		return 0
	}
}

func putIndexKeys(r *record, s *session.Session) {
	shard := shardOf(s.ID)
	put(r, attrBorn, bornKey(s.Created))
	put(r, indexTime, sharded(allSessions, shard))
	put(r, indexCreator, sharded(s.Creator, shard))
	put(r, indexUser, s.Factors.User.ID)
	put(r, indexAgent, s.Agent.Fingerprint)
}

func putFactors(r *record, f session.Factors) {
	u := newRecord()
	put(u, attrID, f.User.ID)
	put(u, attrOrg, f.User.Organization)
	put(u, attrEpoch, f.User.Epoch)
	put(u, attrCounted, f.User.Counted)
	u.putTime(attrAt, f.User.VerifiedAt)
	r.putMap(attrUserFactor, u.item)
	r.putMap(attrKeyFactor, keyFactorMap(f.Key))
	for _, t := range factorTimes(&f) {
		r.putTime(t.name, *t.at)
	}
}

// factorTime is a factor that is a time, and its attribute.
type factorTime struct {
	name string
	at   *time.Time
}

func factorTimes(f *session.Factors) [7]factorTime {
	return [...]factorTime{
		{attrPassword, &f.Password},
		{attrPasswordOf, &f.PasswordSet},
		{attrTOTP, &f.TOTP},
		{attrSMS, &f.SMS},
		{attrMail, &f.Email},
		{attrRecovery, &f.Recovery},
		{attrIntent, &f.Intent},
	}
}

func codeMap(c otp.Challenge) map[string]any {
	if c.KeyID == "" {
		return nil
	}
	r := newRecord()
	r.putBytes(attrID, c.ID[:])
	put(r, attrKeyID, c.KeyID)
	r.putTime(attrExpires, c.ExpiresAt)
	put(r, attrTries, int64(c.Tries))
	put(r, attrRegion, c.Region)
	return r.item
}

func decodeCode(r *record, name string) otp.Challenge {
	n := r.nested(name)
	defer r.adopt(n)
	c := otp.Challenge{
		KeyID:     get[string](n, attrKeyID),
		ExpiresAt: n.getTime(attrExpires),
		Tries:     int(get[int64](n, attrTries)),
		Region:    get[string](n, attrRegion),
	}
	copy(c.ID[:], get[[]byte](n, attrID))
	return c
}

func metadataMap(m map[string][]byte) map[string]any {
	out := make(map[string]any, len(m))
	for k, v := range m {
		out[k] = v
	}
	return out
}

func agentMap(a session.UserAgent) map[string]any {
	r := newRecord()
	put(r, attrFingerprint, a.Fingerprint)
	put(r, attrDescription, a.Description)
	if a.IP.IsValid() {
		put(r, attrIP, a.IP.String())
	}
	header := make(map[string]any, len(a.Header))
	for name, values := range a.Header {
		header[name] = stringList(values)
	}
	r.putMap(attrHeader, header)
	return r.item
}

// decodeSession returns nil for an absent item.
func decodeSession(id string, item table.Item) (*session.Session, error) {
	if item == nil {
		return nil, nil
	}
	r := &record{item: item}
	s := &session.Session{
		ID:           id,
		Creator:      get[string](r, attrCreator),
		Created:      r.getTime(attrCreated),
		Changed:      r.getTime(attrChanged),
		Sequence:     uint64(get[int64](r, attrVersion)),
		Revision:     uint64(get[int64](r, attrRevision)),
		ExpiresAt:    r.getTime(attrExpires),
		Limited:      get[bool](r, attrLimited),
		Asked:        r.getTime(attrAsked),
		TerminatedAt: r.getTime(attrTerminated),
		Factors:      decodeFactors(r),
		Challenges: session.Challenges{
			SMS: decodeCode(r, attrSMSCode), Email: decodeCode(r, attrMailCode), Keys: decodeChallenges(r),
		},
		Metadata: decodeMetadata(r),
		Agent:    decodeAgent(r),
		Receipts: decodeReceipts(r),
	}
	if n := copy(s.TokenID[:], get[[]byte](r, attrToken)); n != len(s.TokenID) && r.err == nil {
		r.err = fmt.Errorf("attribute %q holds %d bytes", attrToken, n)
	}
	if r.err != nil {
		return nil, corrupt(sessionKey(id), r.err)
	}
	return s, nil
}

func decodeFactors(r *record) session.Factors {
	u := r.nested(attrUserFactor)
	defer r.adopt(u)
	f := session.Factors{User: session.UserFactor{
		ID:           get[string](u, attrID),
		Organization: get[string](u, attrOrg),
		Epoch:        get[int64](u, attrEpoch),
		Counted:      get[bool](u, attrCounted),
		VerifiedAt:   u.getTime(attrAt),
	}, Key: decodeKeyFactor(r)}
	for _, t := range factorTimes(&f) {
		*t.at = r.getTime(t.name)
	}
	return f
}

func decodeMetadata(r *record) map[string][]byte {
	m := r.nested(attrMetadata)
	defer r.adopt(m)
	if len(m.item) == 0 {
		return nil
	}
	out := make(map[string][]byte, len(m.item))
	for k := range m.item {
		out[k] = get[[]byte](m, k)
	}
	return out
}

func decodeAgent(r *record) session.UserAgent {
	a := r.nested(attrAgent)
	defer r.adopt(a)
	agent := session.UserAgent{
		Fingerprint: get[string](a, attrFingerprint),
		Description: get[string](a, attrDescription),
	}
	if ip := get[string](a, attrIP); ip != "" {
		var err error
		if agent.IP, err = netip.ParseAddr(ip); err != nil && a.err == nil {
			a.err = fmt.Errorf("attribute %q is no IP address", attrIP) // err would repeat it
		}
	}
	header := a.nested(attrHeader)
	defer a.adopt(header)
	for name := range header.item {
		if agent.Header == nil {
			agent.Header = make(map[string][]string, len(header.item))
		}
		agent.Header[name] = decodeStrings(header, name)
	}
	return agent
}

func stringList(values []string) []any {
	list := make([]any, len(values))
	for i, v := range values {
		list[i] = v
	}
	return list
}

// decodeStrings returns nil for an absent or empty list.
func decodeStrings(r *record, name string) []string {
	var out []string
	for _, v := range get[[]any](r, name) {
		s, ok := v.(string)
		if !ok && r.err == nil {
			r.err = fmt.Errorf("list %q holds %T", name, v)
		}
		out = append(out, s)
	}
	return out
}

// errCorrupt is a stored item that this version cannot read.
var errCorrupt = fault.New(fault.Internal, "STEPUP-corrupt", "An internal error occurred")

func corrupt(k table.Key, err error) error {
	return errCorrupt.Wrap(fmt.Errorf("item %s: %w", k, err))
}
