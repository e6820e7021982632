package server_test

import (
	"time"

	rpcdetails "google.golang.org/genproto/googleapis/rpc/errdetails"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"

	sessionv2 "github.com/stepup-auth/stepup/pkg/gen/zitadel/session/v2"
)

// everyCode are the methods of a session with every one-time factor. Without a first
// factor they count for nothing.
var everyCode = []string{"otp", "sms", "stepup:email", "stepup:recovery"}

// stepRPCs step sessions up with one-time factors. They run in this order.
func stepRPCs(f *fixture) []rpc {
	return append(append(checkRPCs(f), challengeRPCs(f)...), requirementRPCs(f)...)
}

// requirementRPCs make requirements of a session of somebody who has every one-time
// factor and no password.
func requirementRPCs(f *fixture) []rpc {
	id := f.people["otto"].session.SessionID
	byApp := &sessionv2.Requirement{AnyOf: []string{"password", "totp"}, MaxAge: map[string]*durationpb.Duration{"*": durationpb.New(time.Hour)}}
	unmet := func(acr string, steps ...*sessionv2.NextStep) *sessionv2.InsufficientUserAuthentication {
		return &sessionv2.InsufficientUserAuthentication{
			Error: "insufficient_user_authentication", ErrorDescription: "The session does not meet the authentication requirement",
			AcrValues: acr, NextSteps: steps,
		}
	}
	insufficient := func(u *sessionv2.InsufficientUserAuthentication) *rpcstatus.Status {
		s := refusal(codes.FailedPrecondition, "STEPUP-insufficient-user-authentication", u.GetErrorDescription())
		s.Details = append(s.Details, packed(u))
		return s
	}
	met := provedSession(id)
	met.Sequence = 4
	return []rpc{
		{
			"a session that meets a requirement is read",
			&sessionv2.GetSessionRequest{SessionId: id, Require: byApp},
			&sessionv2.GetSessionResponse{Session: met},
		}, {
			"one that does not is refused in the words of RFC 9470",
			&sessionv2.GetSessionRequest{SessionId: id, Require: &sessionv2.Requirement{MinAal: 2}},
			insufficient(unmet("aal2 aal3")),
		}, {
			"a requirement that makes no sense is refused",
			&sessionv2.GetSessionRequest{SessionId: id, Require: &sessionv2.Requirement{AnyOf: []string{"pin"}}},
			refusal(codes.InvalidArgument, "STEPUP-require", "require.any_of: each set must be factors with commas between"),
		}, {
			"a level that does not exist is refused",
			&sessionv2.SetSessionRequest{SessionId: id, Require: &sessionv2.Requirement{MinAal: 4}},
			bare(codes.InvalidArgument, "invalid SetSessionRequest.Require: embedded message failed validation | "+
				"caused by: invalid Requirement.MinAal: value must be less than or equal to 3"),
		}, {
			"a step of a session that does not meet it is refused",
			&sessionv2.SetSessionRequest{
				SessionId: id, Metadata: map[string][]byte{"k": []byte("v")}, Require: &sessionv2.Requirement{MinAal: 1},
			},
			insufficient(unmet("aal1 aal2 aal3")),
		}, {
			"a step on the way to it is kept, and says what is missing",
			&sessionv2.SetSessionRequest{
				SessionId: f.sessions["plain"].SessionID, Checks: checks("right", ""), Require: &sessionv2.Requirement{MinAal: 1},
			},
			&sessionv2.SetSessionResponse{
				Details: sessionDetails(2), SessionToken: placeholder, Assurance: worth(0),
				Unmet: unmet("aal1 aal2 aal3", &sessionv2.NextStep{Factor: "password", Why: "not verified yet"}),
			},
		},
	}
}

// set is a step of a person's session.
func set(e enrolled, c *sessionv2.Checks) *sessionv2.SetSessionRequest {
	return &sessionv2.SetSessionRequest{SessionId: e.session.SessionID, Checks: c}
}

func checkRPCs(f *fixture) []rpc {
	right, wrong := f.people["otto"], f.people["mia"]
	return []rpc{
		{
			"an app steps a session up",
			set(right, &sessionv2.Checks{Totp: &sessionv2.CheckTOTP{Code: right.totp}}),
			&sessionv2.SetSessionResponse{Details: sessionDetails(2), SessionToken: placeholder, Assurance: worth(0, "otp")},
		}, {
			"a code of an app is used once",
			set(right, &sessionv2.Checks{Totp: &sessionv2.CheckTOTP{Code: right.totp}}),
			refusal(codes.InvalidArgument, "TOTP-Auw0a", "Code was used already"),
		}, {
			"codes by SMS and mail and a recovery code step a session up",
			set(right, &sessionv2.Checks{
				OtpSms: &sessionv2.CheckOTP{Code: right.sms}, OtpEmail: &sessionv2.CheckOTP{Code: right.email},
				RecoveryCode: &sessionv2.CheckRecoveryCode{Code: right.recovery[0]},
			}),
			&sessionv2.SetSessionResponse{Details: sessionDetails(3), SessionToken: placeholder, Assurance: worth(0, everyCode...)},
		}, {
			"a sent code is used once",
			set(right, &sessionv2.Checks{OtpSms: &sessionv2.CheckOTP{Code: right.sms}}),
			refusal(codes.FailedPrecondition, "COMMAND-S34gh", "Code not found"),
		}, {
			"all that was proved is read",
			&sessionv2.GetSessionRequest{SessionId: right.session.SessionID},
			&sessionv2.GetSessionResponse{Session: provedSession(right.session.SessionID)},
		}, {
			"a session is created with a code of an app and a recovery code",
			&sessionv2.CreateSessionRequest{Checks: &sessionv2.Checks{
				User: checks("otto", "").GetUser(), Totp: &sessionv2.CheckTOTP{Code: right.later},
				RecoveryCode: &sessionv2.CheckRecoveryCode{Code: right.recovery[1]},
			}},
			&sessionv2.CreateSessionResponse{
				Details: sessionDetails(1), SessionId: placeholder, SessionToken: placeholder, Assurance: worth(0, "otp", "stepup:recovery"),
			},
		}, {
			"without recovery codes none is right",
			set(right, &sessionv2.Checks{RecoveryCode: &sessionv2.CheckRecoveryCode{Code: right.recovery[0]}}),
			refusal(codes.FailedPrecondition, "COMMAND-84rgg", "Recovery codes are not ready for use"),
		}, {
			"a wrong code of an app is refused",
			set(wrong, &sessionv2.Checks{Totp: &sessionv2.CheckTOTP{Code: spoiled(wrong.totp)}}),
			refusal(codes.InvalidArgument, "EVENT-8isk2", "Invalid code"),
		}, {
			"a locked app says when to come back",
			set(wrong, &sessionv2.Checks{Totp: &sessionv2.CheckTOTP{Code: wrong.totp}}),
			later(refusal(codes.FailedPrecondition, "COMMAND-SF3fg", "User is locked"), 30*time.Second),
		}, {
			"a wrong code by SMS is refused",
			set(wrong, &sessionv2.Checks{OtpSms: &sessionv2.CheckOTP{Code: spoiled(wrong.sms)}}),
			refusal(codes.InvalidArgument, "CODE-woT0xc", "Code is invalid"),
		}, {
			"a wrong code by mail is refused",
			set(wrong, &sessionv2.Checks{OtpEmail: &sessionv2.CheckOTP{Code: spoiled(wrong.email)}}),
			refusal(codes.InvalidArgument, "CODE-woT0xc", "Code is invalid"),
		}, {
			"a wrong recovery code is refused",
			set(wrong, &sessionv2.Checks{RecoveryCode: &sessionv2.CheckRecoveryCode{Code: "0000-0000-0000-0000"}}),
			refusal(codes.InvalidArgument, "DOMAIN-6uvh0", "Invalid recovery code provided"),
		}, {
			"a session without a user has no app",
			&sessionv2.CreateSessionRequest{Checks: &sessionv2.Checks{Totp: &sessionv2.CheckTOTP{Code: "000000"}}},
			refusal(codes.InvalidArgument, "COMMAND-8N9ds", "User ID missing"),
		},
	}
}

func challengeRPCs(f *fixture) []rpc {
	e := f.people["otto"]
	ask := func(c *sessionv2.RequestChallenges) *sessionv2.SetSessionRequest {
		return &sessionv2.SetSessionRequest{SessionId: e.session.SessionID, Challenges: c}
	}
	code := placeholder
	return []rpc{
		{
			"codes are returned to a caller who asks for them",
			&sessionv2.CreateSessionRequest{Checks: checks("otto", ""), Challenges: &sessionv2.RequestChallenges{
				OtpSms: &sessionv2.RequestChallenges_OTPSMS{ReturnCode: true},
				OtpEmail: &sessionv2.RequestChallenges_OTPEmail{
					DeliveryType: &sessionv2.RequestChallenges_OTPEmail_ReturnCode_{ReturnCode: &sessionv2.RequestChallenges_OTPEmail_ReturnCode{}},
				},
			}},
			&sessionv2.CreateSessionResponse{
				Details: sessionDetails(1), SessionId: placeholder, SessionToken: placeholder,
				Challenges: &sessionv2.Challenges{OtpSms: &code, OtpEmail: &code}, Assurance: worth(0),
			},
		}, {
			"codes that are sent are not returned, but what they are reckoned to cost",
			ask(&sessionv2.RequestChallenges{
				OtpSms: &sessionv2.RequestChallenges_OTPSMS{}, OtpEmail: linked("https://login.example.com/{{.SessionID}}?code={{.Code}}"),
			}),
			&sessionv2.SetSessionResponse{
				Details: sessionDetails(4), SessionToken: placeholder, Assurance: worth(0, everyCode...),
				Challenges: &sessionv2.Challenges{
					OtpSmsEstimatedPriceUsdMicros: new(int64(70_000)), OtpEmailEstimatedPriceUsdMicros: new(int64(2_000)),
				},
			},
		}, {
			"another message must wait",
			ask(&sessionv2.RequestChallenges{OtpSms: &sessionv2.RequestChallenges_OTPSMS{}}),
			later(instead(refusal(codes.ResourceExhausted, "STEPUP-send-cooldown",
				"A message was just sent; wait before asking for another")), time.Minute),
		}, {
			"a new session is told what else its user can do",
			&sessionv2.CreateSessionRequest{
				Checks: checks("otto", ""), Challenges: &sessionv2.RequestChallenges{OtpSms: &sessionv2.RequestChallenges_OTPSMS{}},
			},
			later(instead(refusal(codes.ResourceExhausted, "STEPUP-send-cooldown",
				"A message was just sent; wait before asking for another"),
				&sessionv2.NextStep{Factor: "totp", Why: "not verified yet"}), time.Minute),
		}, {
			"a link that is no template is refused",
			ask(&sessionv2.RequestChallenges{OtpEmail: linked("https://login.example.com/{{")}),
			refusal(codes.InvalidArgument, "DOMAIN-oGh5e", "URL Template is invalid"),
		}, {
			"a link with an unknown field is refused",
			ask(&sessionv2.RequestChallenges{OtpEmail: linked("https://login.example.com/{{.Password}}")}),
			refusal(codes.InvalidArgument, "DOMAIN-ieYa7", "URL Template is invalid"),
		}, {
			"nobody gets codes who has not set them up",
			&sessionv2.CreateSessionRequest{
				Checks: checks("ada", ""), Challenges: &sessionv2.RequestChallenges{OtpSms: &sessionv2.RequestChallenges_OTPSMS{}},
			},
			refusal(codes.FailedPrecondition, "COMMAND-BJ2g3", "Multifactor OTP (OneTimePassword) isn't ready"),
		}, {
			"a session without a user gets no codes",
			&sessionv2.CreateSessionRequest{Challenges: &sessionv2.RequestChallenges{OtpEmail: &sessionv2.RequestChallenges_OTPEmail{}}},
			refusal(codes.FailedPrecondition, "COMMAND-JK3gp", "User ID missing"),
		},
	}
}

// linked asks for a mail with a link.
func linked(template string) *sessionv2.RequestChallenges_OTPEmail {
	return &sessionv2.RequestChallenges_OTPEmail{
		DeliveryType: &sessionv2.RequestChallenges_OTPEmail_SendCode_{
			SendCode: &sessionv2.RequestChallenges_OTPEmail_SendCode{UrlTemplate: &template},
		},
	}
}

// provedSession is a session of otto with every one-time factor.
func provedSession(id string) *sessionv2.Session {
	s := boundSession(id)
	s.Sequence = 3
	s.Assurance = worth(0, everyCode...)
	u := s.GetFactors().GetUser()
	u.Id, u.LoginName, u.DisplayName = "otto", "otto@stepup.test", "otto Test"
	s.Factors = &sessionv2.Factors{
		User:         u,
		Totp:         &sessionv2.TOTPFactor{VerifiedAt: epoch()},
		OtpSms:       &sessionv2.OTPFactor{VerifiedAt: epoch()},
		OtpEmail:     &sessionv2.OTPFactor{VerifiedAt: epoch()},
		RecoveryCode: &sessionv2.RecoveryCodeFactor{VerifiedAt: epoch()},
	}
	return s
}

// spoiled differs from a code in its last digit.
func spoiled(code string) string {
	last := code[len(code)-1]
	return code[:len(code)-1] + string('0'+(last-'0'+1)%10)
}

// instead is a refusal that names alternatives.
func instead(s *rpcstatus.Status, steps ...*sessionv2.NextStep) *rpcstatus.Status {
	s.Details = append(s.Details, packed(&sessionv2.Alternatives{NextSteps: steps}))
	return s
}

// later is a refusal that says when to come back.
func later(s *rpcstatus.Status, wait time.Duration) *rpcstatus.Status {
	s.Details = append(s.Details, packed(&rpcdetails.RetryInfo{RetryDelay: durationpb.New(wait)}))
	return s
}
