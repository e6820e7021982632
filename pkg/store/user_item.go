package store

import (
	"fmt"
	"time"

	"github.com/stepup-auth/stepup/pkg/otp"
	"github.com/stepup-auth/stepup/pkg/sending"
	"github.com/stepup-auth/stepup/pkg/table"
	"github.com/stepup-auth/stepup/pkg/user"
)

// Attributes of a user's items; those shared with sessions are declared there.
const (
	attrUsername       = "un"
	attrGivenName      = "gn"
	attrFamilyName     = "fn"
	attrNickName       = "nn"
	attrDisplayName    = "dn"
	attrLanguage       = "lang"
	attrGender         = "g"
	attrEmail          = "em"
	attrEmailVerified  = "emv"
	attrPhone          = "ph"
	attrPhoneVerified  = "phv"
	attrHash           = "pwh"
	attrChangeRequired = "pwc"
	attrSeed           = "seed" // of the authenticator app, sealed
	attrConfirmed      = "seedok"
	attrSMSCodes       = "osms"
	attrEmailCodes     = "omail"
	attrCodes          = "codes" // recovery codes, as MACs
	attrPendingCodes   = "sent"  // open codes by purpose

	attrState           = "st"
	attrPasswordChanged = "pwat"
	attrStep            = "step" // last accepted step of the authenticator app
	attrAgents          = "eps"  // epochs by user agent
	attrSessions        = "ses"
	attrAttempts        = "att"
	attrFailures        = "n"
	attrLockedUntil     = "til"
	attrMarker          = "w" // random per write; see Store.marker

	attrUserID = "u"
)

// deletedLife is how long the guard of a deleted user stays. Sessions of the user
// are dead with the guard and without it; it stays for the record of the deletion.
const deletedLife = 30 * 24 * time.Hour

// entry is one item of an aggregate.
type entry struct {
	key    table.Key
	item   table.Item
	unique bool // nobody else may hold this key
}

// userEntries returns the items that a user consists of, but for the guard. A
// deleted user has none.
func userEntries(u *user.User) []entry {
	if u == nil || u.Guard.State == user.StateDeleted {
		return nil
	}
	entries := []entry{
		{key: userKey(u.ID), item: userItem(u)},
		{key: loginKey(u.LoginName()), item: table.Item{attrUserID: u.ID}, unique: true},
	}
	entries = append(entries, keyEntries(u)...)
	entries = append(entries, linkEntries(u)...)
	if u.Email.Address != "" {
		entries = append(entries, entry{key: emailKey(u.Email.Address, u.ID), item: table.Item{attrUserID: u.ID}})
	}
	return entries
}

func userItem(u *user.User) table.Item {
	r := newRecord()
	put(r, attrOrg, u.Organization)
	put(r, attrUsername, u.Username)
	r.putTime(attrCreated, u.Created)
	put(r, attrGivenName, u.Profile.GivenName)
	put(r, attrFamilyName, u.Profile.FamilyName)
	put(r, attrNickName, u.Profile.NickName)
	put(r, attrDisplayName, u.Profile.DisplayName)
	put(r, attrLanguage, u.Profile.Language)
	put(r, attrGender, int64(u.Profile.Gender))
	put(r, attrEmail, u.Email.Address)
	put(r, attrEmailVerified, u.Email.Verified)
	put(r, attrPhone, u.Phone.Address)
	put(r, attrPhoneVerified, u.Phone.Verified)
	put(r, attrHash, u.Password.Hash)
	put(r, attrChangeRequired, u.Password.ChangeRequired)
	r.putBytes(attrSeed, u.TOTP.Sealed)
	put(r, attrConfirmed, u.TOTP.Confirmed)
	put(r, attrSMSCodes, u.SMSCodes)
	put(r, attrEmailCodes, u.EmailCodes)
	put(r, attrBorn, bornKey(u.Created))
	put(r, indexTime, sharded(allUsers, shardOf(u.ID)))
	return r.item
}

func guardItem(g *user.Guard, marker []byte) table.Item {
	r := newRecord()
	put(r, attrVersion, int64(g.Version))
	r.putTime(attrChanged, g.Changed)
	put(r, attrState, int64(g.State))
	put(r, attrEpoch, g.Epoch)
	r.putMap(attrAgents, agentEpochs(g.Agents))
	if len(g.Sessions) > 0 {
		r.item[attrSessions] = stringList(g.Sessions)
	}
	r.putTime(attrPasswordChanged, g.PasswordChanged)
	put(r, attrStep, int64(g.TOTPStep))
	attempts := make(map[string]any, len(g.Attempts))
	for kind, at := range g.Attempts {
		a := newRecord()
		put(a, attrFailures, int64(at.Failures))
		a.putTime(attrLockedUntil, at.LockedUntil)
		attempts[string(kind)] = map[string]any(a.item)
	}
	r.putMap(attrAttempts, attempts)
	if len(g.RecoveryCodes) > 0 {
		r.item[attrCodes] = recoveryList(g.RecoveryCodes)
	}
	pending := make(map[string]any, len(g.Codes))
	for purpose, c := range g.Codes {
		pending[string(purpose)] = codeMap(c)
	}
	r.putMap(attrPendingCodes, pending)
	putReceipts(r, g.Receipts)
	r.putBytes(attrMarker, marker)
	if g.State == user.StateDeleted {
		put(r, attrTTL, g.Changed.Add(deletedLife).Unix())
	}
	return r.item
}

// decodeGuard returns nil for an absent item.
func decodeGuard(id string, item table.Item) (*user.Guard, error) {
	if item == nil {
		return nil, nil
	}
	r := &record{item: item}
	g := &user.Guard{
		UserID:          id,
		Version:         uint64(get[int64](r, attrVersion)),
		Changed:         r.getTime(attrChanged),
		State:           user.State(get[int64](r, attrState)),
		Epoch:           get[int64](r, attrEpoch),
		PasswordChanged: r.getTime(attrPasswordChanged),
		TOTPStep:        uint64(get[int64](r, attrStep)),
		RecoveryCodes:   decodeRecovery(r),
		Receipts:        decodeReceipts(r),
	}
	decodeGuardCodes(r, g)
	decodeAgentEpochs(r, g)
	g.Sessions = decodeStrings(r, attrSessions)
	attempts := r.nested(attrAttempts)
	for kind := range attempts.item {
		a := attempts.nested(kind)
		if g.Attempts == nil {
			g.Attempts = make(map[user.Authenticator]user.Attempts, len(attempts.item))
		}
		g.Attempts[user.Authenticator(kind)] = user.Attempts{
			Failures:    int(get[int64](a, attrFailures)),
			LockedUntil: a.getTime(attrLockedUntil),
		}
		attempts.adopt(a)
	}
	r.adopt(attempts)
	if r.err != nil {
		return nil, corrupt(guardKey(id), r.err)
	}
	return g, nil
}

func agentEpochs(epochs map[string]int64) map[string]any {
	out := make(map[string]any, len(epochs))
	for agent, epoch := range epochs {
		out[agent] = epoch
	}
	return out
}

func decodeAgentEpochs(r *record, g *user.Guard) {
	epochs := r.nested(attrAgents)
	defer r.adopt(epochs)
	for agent := range epochs.item {
		if g.Agents == nil {
			g.Agents = make(map[string]int64, len(epochs.item))
		}
		g.Agents[agent] = get[int64](epochs, agent)
	}
}

func decodeGuardCodes(r *record, g *user.Guard) {
	pending := r.nested(attrPendingCodes)
	defer r.adopt(pending)
	for purpose := range pending.item {
		if g.Codes == nil {
			g.Codes = make(map[sending.Purpose]otp.Challenge, len(pending.item))
		}
		g.Codes[sending.Purpose(purpose)] = decodeCode(pending, purpose)
	}
}

// userItems are the items that a user is read from.
type userItems struct {
	main, guard table.Item
	keys, links []table.Row
}

// decodeUser puts a user together. It returns nil when there is none, or when all
// that is left is the guard of a deleted one.
func decodeUser(id string, items userItems) (*user.User, error) {
	g, err := decodeGuard(id, items.guard)
	if err != nil || g == nil || items.main == nil || g.State == user.StateDeleted {
		return nil, err
	}
	u, err := decodeMain(id, items.main)
	if err != nil {
		return nil, err
	}
	u.Guard = *g
	for _, row := range items.keys {
		key, err := decodeKeyItem(row.Key, row.Attrs)
		if err != nil {
			return nil, err
		}
		u.Keys = append(u.Keys, key)
	}
	for _, row := range items.links {
		link, err := decodeLink(row)
		if err != nil {
			return nil, err
		}
		u.Links = append(u.Links, link)
	}
	return u, nil
}

// decodeMain reads what a user is without guard, keys and links. It returns nil for an
// absent item.
func decodeMain(id string, item table.Item) (*user.User, error) {
	if item == nil {
		return nil, nil
	}
	r := &record{item: item}
	u := &user.User{
		ID:           id,
		Organization: get[string](r, attrOrg),
		Username:     get[string](r, attrUsername),
		Created:      r.getTime(attrCreated),
		Profile: user.Profile{
			GivenName:   get[string](r, attrGivenName),
			FamilyName:  get[string](r, attrFamilyName),
			NickName:    get[string](r, attrNickName),
			DisplayName: get[string](r, attrDisplayName),
			Language:    get[string](r, attrLanguage),
			Gender:      user.Gender(get[int64](r, attrGender)),
		},
		Email:      user.Contact{Address: get[string](r, attrEmail), Verified: get[bool](r, attrEmailVerified)},
		Phone:      user.Contact{Address: get[string](r, attrPhone), Verified: get[bool](r, attrPhoneVerified)},
		Password:   user.Password{Hash: get[string](r, attrHash), ChangeRequired: get[bool](r, attrChangeRequired)},
		TOTP:       user.TOTP{Sealed: get[[]byte](r, attrSeed), Confirmed: get[bool](r, attrConfirmed)},
		SMSCodes:   get[bool](r, attrSMSCodes),
		EmailCodes: get[bool](r, attrEmailCodes),
	}
	if r.err != nil {
		return nil, corrupt(userKey(id), r.err)
	}
	return u, nil
}

func recoveryList(codes []otp.RecoveryMAC) []any {
	list := make([]any, len(codes))
	for i, c := range codes {
		list[i] = map[string]any{attrKeyID: c.KeyID, attrSecret: c.Sum[:]}
	}
	return list
}

func decodeRecovery(r *record) []otp.RecoveryMAC {
	var codes []otp.RecoveryMAC
	for _, v := range get[[]any](r, attrCodes) {
		m, ok := v.(map[string]any)
		if !ok && r.err == nil {
			r.err = fmt.Errorf("a recovery code is %T", v)
		}
		n := &record{item: m}
		c := otp.RecoveryMAC{KeyID: get[string](n, attrKeyID)}
		copy(c.Sum[:], get[[]byte](n, attrSecret))
		r.adopt(n)
		codes = append(codes, c)
	}
	return codes
}
