package server

import (
	"context"
	"slices"
	"time"

	pb "github.com/stepup-auth/stepup/pkg/gen/zitadel/user/v2"
	"github.com/stepup-auth/stepup/pkg/passkey"
	"github.com/stepup-auth/stepup/pkg/user"
)

// ListAuthenticationFactors implements the RPC of that name. Without states it lists
// the factors that are ready.
func (s *userServer) ListAuthenticationFactors(ctx context.Context, r *pb.ListAuthenticationFactorsRequest) (*pb.ListAuthenticationFactorsResponse, error) {
	caller, err := s.door.admit(ctx, r)
	if err != nil {
		return nil, err
	}
	u, err := s.service.Get(ctx, caller, r.GetUserId())
	if err != nil {
		return nil, err
	}
	states := r.GetStates()
	if len(states) == 0 {
		states = []pb.AuthFactorState{pb.AuthFactorState_AUTH_FACTOR_STATE_READY}
	}
	response := &pb.ListAuthenticationFactorsResponse{}
	for _, f := range factorsOf(u, s.now()) {
		kinds := r.GetAuthFactors()
		if (len(kinds) == 0 || slices.Contains(kinds, f.kind)) && slices.Contains(states, f.message.GetState()) {
			response.Result = append(response.Result, f.message)
		}
	}
	return response, nil
}

// listedFactor is a factor beside the name that requests select it by.
type listedFactor struct {
	kind    pb.AuthFactors
	message *pb.AuthFactor
}

// factorsOf lists the second factors of the user, in the making or ready.
func factorsOf(u *user.User, now time.Time) []listedFactor {
	var list []listedFactor
	if len(u.TOTP.Sealed) > 0 {
		list = append(list, listedFactor{pb.AuthFactors_OTP, &pb.AuthFactor{
			State: factorState(u.TOTP.Confirmed), Type: &pb.AuthFactor_Otp{Otp: &pb.AuthFactorOTP{}},
		}})
	}
	for _, k := range u.KeysOf(passkey.U2F, now) {
		list = append(list, listedFactor{pb.AuthFactors_U2F, &pb.AuthFactor{
			State: factorState(k.Ready()), Type: &pb.AuthFactor_U2F{U2F: &pb.AuthFactorU2F{Id: k.ID, Name: k.Name}},
		}})
	}
	if u.SMSCodes {
		list = append(list, listedFactor{pb.AuthFactors_OTP_SMS, &pb.AuthFactor{
			State: factorState(u.TakesSMSCodes()), Type: &pb.AuthFactor_OtpSms{OtpSms: &pb.AuthFactorOTPSMS{}},
		}})
	}
	if u.EmailCodes {
		list = append(list, listedFactor{pb.AuthFactors_OTP_EMAIL, &pb.AuthFactor{
			State: factorState(u.TakesEmailCodes()), Type: &pb.AuthFactor_OtpEmail{OtpEmail: &pb.AuthFactorOTPEmail{}},
		}})
	}
	return list
}

func factorState(ready bool) pb.AuthFactorState {
	if ready {
		return pb.AuthFactorState_AUTH_FACTOR_STATE_READY
	}
	return pb.AuthFactorState_AUTH_FACTOR_STATE_NOT_READY
}
