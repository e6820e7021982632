package server

import (
	"github.com/stepup-auth/stepup/pkg/assurance"
	pb "github.com/stepup-auth/stepup/pkg/gen/zitadel/session/v2"
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
