package lifecycle

import "github.com/stepup-auth/stepup/pkg/sending"

// RegionChange is the count of a region's codes that were not used, before and after; nil
// where there was or is none.
type RegionChange struct {
	Region   sending.Region
	Old, New *sending.Standing
}

// Events implements Change: the message that brings the count to its limit stops the
// region. That it begins anew with the next window is no change of an item, and so no
// event.
func (c RegionChange) Events(r Record) []Event {
	if c.New == nil || !c.New.Stopped() || c.Old != nil && c.Old.Stopped() {
		return nil
	}
	return stamp(r, []Event{{
		Name: SendingStopped, Organization: c.Region.Organization, Channel: c.Region.Channel,
		CallingCode: c.Region.CallingCode, Limit: c.New.Limit, Until: c.New.End,
	}})
}
