package store

import (
	"errors"
	"strings"

	"github.com/stepup-auth/stepup/pkg/lifecycle"
	"github.com/stepup-auth/stepup/pkg/table"
	"github.com/stepup-auth/stepup/pkg/user"
)

// DecodeChange returns what a change of one item is in the words of the domain. The
// item is nil where there was or is none. The change is nil for an item that is neither
// part of a session or user nor the count of a region, such as a login name. The error is
// a fault of kind Internal, whose cause names the key and the attribute and repeats no
// value.
func DecodeChange(k table.Key, before, after table.Item) (lifecycle.Change, error) {
	switch {
	case k == sessionKey("") || strings.HasPrefix(k.PK, userPrefix) && userID(k) == "":
		return nil, corrupt(k, errors.New("the key has no id"))
	case strings.HasPrefix(k.PK, sessionPrefix) && k.SK == skMain:
		older, newer, err := both(sessionID(k), before, after, decodeSession)
		return lifecycle.SessionChange{Old: older, New: newer}, err
	case strings.HasPrefix(k.PK, userPrefix) && k.SK == skMain:
		older, newer, err := both(userID(k), before, after, decodeMain)
		return lifecycle.UserChange{Old: older, New: newer}, err
	case strings.HasPrefix(k.PK, userPrefix) && k.SK == skGuard:
		older, newer, err := both(userID(k), before, after, decodeGuard)
		return lifecycle.GuardChange{Old: older, New: newer}, err
	case strings.HasPrefix(k.PK, userPrefix) && strings.HasPrefix(k.SK, skCredential):
		older, newer, err := both(k, before, after, decodeOptionalKey)
		return lifecycle.KeyChange{UserID: userID(k), Old: older, New: newer}, err
	case strings.HasPrefix(k.PK, userPrefix) && strings.HasPrefix(k.SK, skLink):
		older, newer, err := both(k, before, after, decodeOptionalLink)
		return lifecycle.LinkChange{UserID: userID(k), Old: older, New: newer}, err
	case strings.HasPrefix(k.PK, unusedPrefix):
		region, err := regionOf(k)
		if err != nil {
			return nil, err
		}
		older, newer, err := both(k, before, after, decodeStanding)
		return lifecycle.RegionChange{Region: region, Old: older, New: newer}, err
	default:
		return nil, nil
	}
}

// both decodes an item before and after.
func both[ID, T any](id ID, before, after table.Item, decode func(ID, table.Item) (*T, error)) (older, newer *T, err error) {
	if older, err = decode(id, before); err != nil {
		return nil, nil, err
	}
	newer, err = decode(id, after)
	return older, newer, err
}

// decodeOptionalLink returns nil for an absent item.
func decodeOptionalLink(k table.Key, item table.Item) (*user.Link, error) {
	if item == nil {
		return nil, nil
	}
	link, err := decodeLink(table.Row{Key: k, Attrs: item})
	return &link, err
}

// decodeOptionalKey returns nil for an absent item.
func decodeOptionalKey(k table.Key, item table.Item) (*user.SecurityKey, error) {
	if item == nil {
		return nil, nil
	}
	key, err := decodeKeyItem(k, item)
	return &key, err
}
