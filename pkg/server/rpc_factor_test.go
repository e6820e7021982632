package server_test

import (
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/structpb"

	objectv2 "github.com/stepup-auth/stepup/pkg/gen/zitadel/object/v2"
	userv2 "github.com/stepup-auth/stepup/pkg/gen/zitadel/user/v2"
)

// factorRPCs are the calls that register what a person proves themselves with. They
// run in this order.
func factorRPCs(f *fixture) []rpc {
	all := append(appRPCs(f), codeRPCs()...)
	all = append(all, passkeyRPCs(f)...)
	return append(all, u2fRPCs(f)...)
}

func appRPCs(f *fixture) []rpc {
	return []rpc{
		{
			"an app is not confirmed with a wrong code",
			&userv2.VerifyTOTPRegistrationRequest{UserId: "tia", Code: "000"},
			refusal(codes.InvalidArgument, "EVENT-8isk2", "Invalid code"),
		}, {
			"an app is confirmed with its code",
			&userv2.VerifyTOTPRegistrationRequest{UserId: "tia", Code: f.firstCode},
			&userv2.VerifyTOTPRegistrationResponse{Details: userDetails(3)},
		}, {
			"there is one app at a time",
			&userv2.RegisterTOTPRequest{UserId: "tia"},
			refusal(codes.AlreadyExists, "COMMAND-do9se", "Multifactor OTP (OneTimePassword) already set up"),
		}, {
			"an app is removed",
			&userv2.RemoveTOTPRequest{UserId: "tia"},
			&userv2.RemoveTOTPResponse{Details: userDetails(4)},
		}, {
			"an app that is not there is not removed",
			&userv2.RemoveTOTPRequest{UserId: "tia"},
			refusal(codes.NotFound, "COMMAND-3Mif9s", "Multifactor OTP (OneTimePassword) doesn't exist"),
		}, {
			"an app is registered",
			&userv2.RegisterTOTPRequest{UserId: "tia"},
			&userv2.RegisterTOTPResponse{Details: userDetails(5), Uri: placeholder, Secret: placeholder},
		},
	}
}

func codeRPCs() []rpc {
	return []rpc{
		{"codes by SMS are set up", &userv2.AddOTPSMSRequest{UserId: "tia"}, &userv2.AddOTPSMSResponse{Details: userDetails(6)}},
		{
			"codes by SMS are set up once",
			&userv2.AddOTPSMSRequest{UserId: "tia"},
			refusal(codes.AlreadyExists, "COMMAND-Ad3g2", "One-time codes by SMS are already set up"),
		}, {
			"codes by SMS need a verified phone",
			&userv2.AddOTPSMSRequest{UserId: "ada"},
			refusal(codes.FailedPrecondition, "COMMAND-Q54j2", "Phone is not verified"),
		},
		{"codes by mail are set up", &userv2.AddOTPEmailRequest{UserId: "tia"}, &userv2.AddOTPEmailResponse{Details: userDetails(7)}},
		{
			"codes by mail are set up once",
			&userv2.AddOTPEmailRequest{UserId: "tia"},
			refusal(codes.AlreadyExists, "COMMAND-MKL2s", "One-time codes by email are already set up"),
		}, {
			"second factors that are ready are listed",
			&userv2.ListAuthenticationFactorsRequest{UserId: "tia"},
			&userv2.ListAuthenticationFactorsResponse{Result: []*userv2.AuthFactor{
				{State: ready, Type: &userv2.AuthFactor_OtpSms{OtpSms: &userv2.AuthFactorOTPSMS{}}},
				{State: ready, Type: &userv2.AuthFactor_OtpEmail{OtpEmail: &userv2.AuthFactorOTPEmail{}}},
			}},
		}, {
			"no factors are listed of an unknown user",
			&userv2.ListAuthenticationFactorsRequest{UserId: unknown},
			refusal(codes.NotFound, "QUERY-Dfbg2", "User could not be found"),
		},
		{"codes by SMS end", &userv2.RemoveOTPSMSRequest{UserId: "tia"}, &userv2.RemoveOTPSMSResponse{Details: userDetails(8)}},
		{
			"codes by SMS end once",
			&userv2.RemoveOTPSMSRequest{UserId: "tia"},
			refusal(codes.NotFound, "COMMAND-Sr3h3", "One-time codes by SMS are not set up"),
		},
		{"codes by mail end", &userv2.RemoveOTPEmailRequest{UserId: "tia"}, &userv2.RemoveOTPEmailResponse{Details: userDetails(9)}},
		{
			"codes by mail end once",
			&userv2.RemoveOTPEmailRequest{UserId: "tia"},
			refusal(codes.NotFound, "COMMAND-b312D", "One-time codes by email are not set up"),
		}, {
			"recovery codes are made",
			&userv2.GenerateRecoveryCodesRequest{UserId: "tia", Count: 2},
			&userv2.GenerateRecoveryCodesResponse{Details: userDetails(10), RecoveryCodes: []string{placeholder, placeholder}},
		}, {
			"recovery codes are bounded, unused ones included",
			&userv2.GenerateRecoveryCodesRequest{UserId: "tia", Count: 9},
			refusal(codes.FailedPrecondition, "COMMAND-8f2k9", "Maximum number of recovery codes exceeded"),
		}, {
			"recovery codes are removed",
			&userv2.RemoveRecoveryCodesRequest{UserId: "tia"},
			&userv2.RemoveRecoveryCodesResponse{Details: userDetails(11)},
		}, {
			"recovery codes of an unknown user are not",
			&userv2.RemoveRecoveryCodesRequest{UserId: unknown},
			refusal(codes.NotFound, "QUERY-Dfbg2", "User could not be found"),
		},
	}
}

const ready = userv2.AuthFactorState_AUTH_FACTOR_STATE_READY

func missingKey() *rpcstatus.Status {
	return refusal(codes.NotFound, "STEPUP-webauthn-key", "WebAuthN Token could not be found")
}

func passkeyRPCs(f *fixture) []rpc {
	k := f.passkey
	return []rpc{
		{
			"a passkey is confirmed with the browser's answer",
			&userv2.VerifyPasskeyRegistrationRequest{UserId: "pia", PasskeyId: k.id, PublicKeyCredential: k.answer, PasskeyName: "laptop"},
			&userv2.VerifyPasskeyRegistrationResponse{Details: userDetails(4)},
		}, {
			"an unknown passkey is not",
			&userv2.VerifyPasskeyRegistrationRequest{UserId: "pia", PasskeyId: unknown, PublicKeyCredential: k.answer, PasskeyName: "laptop"},
			missingKey(),
		}, {
			"passkeys are listed",
			&userv2.ListPasskeysRequest{UserId: "pia"},
			&userv2.ListPasskeysResponse{
				Details: &objectv2.ListDetails{TotalResult: 1, Timestamp: epoch()},
				Result:  []*userv2.Passkey{{Id: k.id, State: ready, Name: "laptop"}},
			},
		}, {
			"no passkeys are listed of an unknown user",
			&userv2.ListPasskeysRequest{UserId: unknown},
			refusal(codes.NotFound, "QUERY-Dfbg2", "User could not be found"),
		}, {
			"a passkey is removed",
			&userv2.RemovePasskeyRequest{UserId: "pia", PasskeyId: k.id},
			&userv2.RemovePasskeyResponse{Details: userDetails(5)},
		},
		{"a passkey is removed once", &userv2.RemovePasskeyRequest{UserId: "pia", PasskeyId: k.id}, missingKey()},
		{
			"a passkey is registered",
			&userv2.RegisterPasskeyRequest{UserId: "pia", Domain: "example.com"},
			&userv2.RegisterPasskeyResponse{Details: userDetails(6), PasskeyId: placeholder, PublicKeyCredentialCreationOptions: outline()},
		}, {
			"a passkey belongs to a domain of the deployment",
			&userv2.RegisterPasskeyRequest{UserId: "pia", Domain: "elsewhere.example"},
			refusal(codes.InvalidArgument, "WEBAU-UX9ta", "Domain is not a relying party of this service"),
		},
	}
}

func u2fRPCs(f *fixture) []rpc {
	k := f.u2f
	return []rpc{
		{
			"a U2F key is confirmed with the browser's answer",
			&userv2.VerifyU2FRegistrationRequest{UserId: "pia", U2FId: k.id, PublicKeyCredential: k.answer, TokenName: "stick"},
			&userv2.VerifyU2FRegistrationResponse{Details: userDetails(7)},
		}, {
			"an unknown U2F key is not",
			&userv2.VerifyU2FRegistrationRequest{UserId: "pia", U2FId: unknown, PublicKeyCredential: k.answer, TokenName: "stick"},
			missingKey(),
		},
		{"a U2F key is removed", &userv2.RemoveU2FRequest{UserId: "pia", U2FId: k.id}, &userv2.RemoveU2FResponse{Details: userDetails(8)}},
		{"a U2F key is removed once", &userv2.RemoveU2FRequest{UserId: "pia", U2FId: k.id}, missingKey()},
		{
			"a U2F key is registered",
			&userv2.RegisterU2FRequest{UserId: "pia", Domain: "example.com"},
			&userv2.RegisterU2FResponse{Details: userDetails(9), U2FId: placeholder, PublicKeyCredentialCreationOptions: outline()},
		}, {
			"a U2F key of an unknown user is not",
			&userv2.RegisterU2FRequest{UserId: unknown, Domain: "example.com"},
			refusal(codes.NotFound, "QUERY-Dfbg2", "User could not be found"),
		},
	}
}

// outline is what scrub leaves of options for a browser.
func outline() *structpb.Struct {
	return &structpb.Struct{Fields: map[string]*structpb.Value{"publicKey": structpb.NewStringValue(placeholder)}}
}
