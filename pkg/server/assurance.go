package server

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/stepup-auth/stepup/pkg/assurance"
	"github.com/stepup-auth/stepup/pkg/fault"
	pb "github.com/stepup-auth/stepup/pkg/gen/zitadel/session/v2"
	"github.com/stepup-auth/stepup/pkg/session"
)

func assuranceMessage(a assurance.Assurance) *pb.Assurance {
	return &pb.Assurance{
		Aal:               new(uint32(a.AAL)),
		Acr:               a.ACR,
		Amr:               a.AMR,
		AuthTime:          timestamp(a.AuthTime),
		PhishingResistant: a.PhishingResistant,
		Restricted:        a.Restricted,
	}
}

// requirementOf is nil where nothing is required.
func requirementOf(r *pb.Requirement) (*assurance.Requirement, error) {
	if r == nil {
		return nil, nil
	}
	required := &assurance.Requirement{MinAAL: assurance.Level(r.GetMinAal())}
	for name, age := range r.GetMaxAge() {
		if required.MaxAge == nil {
			required.MaxAge = make(map[assurance.Factor]time.Duration)
		}
		required.MaxAge[assurance.Factor(name)] = age.AsDuration()
	}
	for _, names := range r.GetAnyOf() {
		var set []assurance.Factor
		for name := range strings.SplitSeq(names, ",") {
			set = append(set, assurance.Factor(strings.TrimSpace(name)))
		}
		required.AnyOf = append(required.AnyOf, set)
	}
	return required, required.Validate()
}

// unmetOf is nil for every fault but that of a requirement.
func unmetOf(f *fault.Fault) *session.Unmet {
	u, _ := errors.AsType[*session.Unmet](f)
	return u
}

// unmetMessage speaks RFC 9470.
func unmetMessage(u *session.Unmet) *pb.InsufficientUserAuthentication {
	if u == nil {
		return nil
	}
	m := &pb.InsufficientUserAuthentication{
		Error:            "insufficient_user_authentication",
		ErrorDescription: session.ErrInsufficient.Text,
		AcrValues:        strings.Join(u.Requirement.ACRValues(), " "),
	}
	if age := u.Requirement.ShortestAge(); age > 0 {
		m.MaxAge = new(uint32(age / time.Second))
	}
	m.NextSteps = stepMessages(u.Steps)
	return m
}

func stepMessages(steps []assurance.Step) []*pb.NextStep {
	var all []*pb.NextStep
	for _, s := range steps {
		all = append(all, stepMessage(s))
	}
	return all
}

var deliveries = map[assurance.Delivery]string{assurance.EmailSent: "email", assurance.SMSSent: "sms"}

func stepMessage(s assurance.Step) *pb.NextStep {
	m := &pb.NextStep{Factor: string(s.Factor), Why: string(s.Why), Sends: deliveries[s.Sends]}
	for _, f := range s.Then {
		m.Then = append(m.Then, string(f))
	}
	switch {
	case s.Factor != assurance.Key:
	case s.UserVerified:
		m.UserVerificationRequirement = pb.UserVerificationRequirement_USER_VERIFICATION_REQUIREMENT_REQUIRED
	default:
		m.UserVerificationRequirement = pb.UserVerificationRequirement_USER_VERIFICATION_REQUIREMENT_DISCOURAGED
	}
	return m
}

// stepUpChallenge is the header of RFC 9470, section 3. The status stays that of the
// fault, which RFC 9110, section 11.6.1, allows: it is not the caller's credential that
// falls short. A resource server passes the header on with a status of 401.
func stepUpChallenge(m *pb.InsufficientUserAuthentication) string {
	challenge := fmt.Sprintf("Bearer error=%q, error_description=%q", m.GetError(), m.GetErrorDescription())
	if m.GetAcrValues() != "" {
		challenge += fmt.Sprintf(", acr_values=%q", m.GetAcrValues())
	}
	if m.MaxAge != nil {
		challenge += fmt.Sprintf(", max_age=\"%d\"", m.GetMaxAge())
	}
	return challenge
}
