package eventbridge

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/stepup-auth/stepup/pkg/lifecycle"
	"github.com/stepup-auth/stepup/pkg/user"
)

// detail is the event as JSON; docs/events.md describes it. The time stands here as
// well as around it, because EventBridge keeps only seconds.
type detail struct {
	Version        int                  `json:"version"`
	ID             string               `json:"id"`
	Time           time.Time            `json:"time"`
	SessionID      string               `json:"sessionId,omitzero"`
	UserID         string               `json:"userId,omitzero"`
	OrganizationID string               `json:"organizationId,omitzero"`
	CreatorID      string               `json:"creatorId,omitzero"`
	Revision       uint64               `json:"revision,omitzero"`
	Verified       []user.Authenticator `json:"verified,omitzero"`
	Factors        []user.Authenticator `json:"factors,omitzero"`
	ExpiresAt      time.Time            `json:"expiresAt,omitzero"`
	Factor         user.Authenticator   `json:"factor,omitzero"`
	KeyID          string               `json:"keyId,omitzero"`
	Failures       int                  `json:"failures,omitzero"`
	LockedUntil    time.Time            `json:"lockedUntil,omitzero"`
	Disabled       bool                 `json:"disabled,omitzero"`
	Channel        string               `json:"channel,omitzero"`
	CallingCode    string               `json:"callingCode,omitzero"`
	Limit          int                  `json:"limit,omitzero"`
	Until          time.Time            `json:"until,omitzero"`
}

// entry is an event as EventBridge takes it, with its size as EventBridge counts.
type entry struct {
	types.PutEventsRequestEntry

	size int
}

// entry returns ErrRefused for an event that has no JSON, as a time after the year 9999
// has none, or too much of it.
func (b *Bus) entry(e lifecycle.Event) (entry, error) {
	text, err := json.Marshal(detail{
		Version: lifecycle.Version, ID: e.ID, Time: e.Time.UTC(),
		SessionID: e.SessionID, UserID: e.UserID, OrganizationID: e.Organization, CreatorID: e.Creator, Revision: e.Revision,
		Verified: e.Verified, Factors: e.Factors, ExpiresAt: e.ExpiresAt.UTC(),
		Factor: e.Factor, KeyID: e.KeyID, Failures: e.Failures, LockedUntil: e.LockedUntil.UTC(), Disabled: e.Disabled,
		Channel: string(e.Channel), CallingCode: e.CallingCode, Limit: e.Limit, Until: e.Until.UTC(),
	})
	if err != nil {
		return entry{}, ErrRefused.Wrap(err)
	}
	const timeSize = 14
	size := timeSize + len(Source) + len(e.Name) + len(text)
	if size > maxBytes {
		return entry{}, ErrRefused.Wrap(fmt.Errorf("event of %d bytes", size))
	}
	return entry{size: size, PutEventsRequestEntry: types.PutEventsRequestEntry{
		EventBusName: &b.o.Bus,
		Source:       aws.String(Source),
		DetailType:   aws.String(string(e.Name)),
		Detail:       aws.String(string(text)),
		Time:         aws.Time(e.Time),
	}}, nil
}
