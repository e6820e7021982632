package server_test

import (
	"context"
	"testing"

	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"

	"github.com/stepup-auth/stepup/pkg/app/apptest"
	userv2 "github.com/stepup-auth/stepup/pkg/gen/zitadel/user/v2"
	"github.com/stepup-auth/stepup/pkg/user"
)

// unproved creates a person whose addresses are not verified, with the codes that would
// verify them.
func unproved(t *testing.T, s *apptest.Service, name string) user.Result {
	t.Helper()
	u, err := s.Users.Create(context.Background(), apptest.Admin(), user.Registration{
		ID: name, Username: name + "@stepup.test", Profile: user.Profile{GivenName: name, FamilyName: "Test"},
		Email: user.Contact{Address: name + "@stepup.test"}, EmailCode: &user.CodeRequest{Return: true},
		Phone: user.Contact{Address: phoneNumber}, PhoneCode: &user.CodeRequest{Return: true},
	})
	check(t, err)
	return u
}

func alreadyVerified() *rpcstatus.Status {
	return refusal(codes.FailedPrecondition, "STEPUP-verified", "The address is already verified")
}

func wrongVerification() *rpcstatus.Status {
	return refusal(codes.InvalidArgument, "COMMAND-eis9R", "Code is invalid")
}

// contactRPCs are the calls about addresses, and the link that is sent to one. They run
// in this order.
func contactRPCs(f *fixture) []rpc {
	drawnCode := placeholder
	return []rpc{
		{
			"an address is verified with its code",
			&userv2.VerifyEmailRequest{UserId: "vera", VerificationCode: f.emailCode},
			&userv2.VerifyEmailResponse{Details: userDetails(2)},
		},
		{"a code is of one use", &userv2.VerifyEmailRequest{UserId: "vera", VerificationCode: f.emailCode}, wrongVerification()},
		{
			"a number is verified with its code",
			&userv2.VerifyPhoneRequest{UserId: "vera", VerificationCode: f.phoneCode},
			&userv2.VerifyPhoneResponse{Details: userDetails(3)},
		},
		{"a code of somebody else is none", &userv2.VerifyPhoneRequest{UserId: "ada", VerificationCode: f.phoneCode}, wrongVerification()},
		{
			"an address is replaced, and its code returned",
			&userv2.SetEmailRequest{UserId: "vera", Email: "vera@new.test", Verification: &userv2.SetEmailRequest_ReturnCode{ReturnCode: &userv2.ReturnEmailVerificationCode{}}},
			&userv2.SetEmailResponse{Details: userDetails(4), VerificationCode: &drawnCode},
		}, {
			"an address is one",
			&userv2.SetEmailRequest{UserId: "vera", Email: "vera"},
			bare(codes.InvalidArgument, "invalid SetEmailRequest.Email: value must be a valid email address | caused by: mail: missing '@' or angle-addr"),
		}, {
			"another code is returned",
			&userv2.SendEmailCodeRequest{UserId: "vera", Verification: &userv2.SendEmailCodeRequest_ReturnCode{ReturnCode: &userv2.ReturnEmailVerificationCode{}}},
			&userv2.SendEmailCodeResponse{Details: userDetails(5), VerificationCode: &drawnCode},
		},
		{"a verified address needs no code", &userv2.SendEmailCodeRequest{UserId: "ada"}, alreadyVerified()},
		{
			"another code is sent",
			&userv2.ResendEmailCodeRequest{UserId: "vera"},
			&userv2.ResendEmailCodeResponse{Details: userDetails(6), EstimatedPriceUsdMicros: new(int64(2_000))},
		},
		{"a verified address needs no other code", &userv2.ResendEmailCodeRequest{UserId: "ada"}, alreadyVerified()},
		{
			"a number is replaced, and a code sent to it",
			&userv2.SetPhoneRequest{UserId: "vera", Phone: "+41446681801"},
			&userv2.SetPhoneResponse{Details: userDetails(7), EstimatedPriceUsdMicros: new(int64(70_000))},
		}, {
			"a number needs a country",
			&userv2.SetPhoneRequest{UserId: "vera", Phone: "044 668 18 01"},
			refusal(codes.InvalidArgument, "STEPUP-phone", "The phone number is invalid; write it in international form, such as +12025550123"),
		}, {
			"another code for the number is returned",
			&userv2.ResendPhoneCodeRequest{UserId: "vera", Verification: &userv2.ResendPhoneCodeRequest_ReturnCode{ReturnCode: &userv2.ReturnPhoneVerificationCode{}}},
			&userv2.ResendPhoneCodeResponse{Details: userDetails(8), VerificationCode: &drawnCode},
		}, {
			"nobody verifies a number that is not there",
			&userv2.ResendPhoneCodeRequest{UserId: "ada"},
			refusal(codes.FailedPrecondition, "STEPUP-no-address", "The user has no such address"),
		},
		{"a number is removed", &userv2.RemovePhoneRequest{UserId: "vera"}, &userv2.RemovePhoneResponse{Details: userDetails(9)}},
		{
			"a number of an unknown user is not",
			&userv2.RemovePhoneRequest{UserId: unknown},
			refusal(codes.NotFound, "QUERY-Dfbg2", "User could not be found"),
		}, {
			"a link to register a passkey is returned as a code",
			&userv2.CreatePasskeyRegistrationLinkRequest{
				UserId: "vera", Medium: &userv2.CreatePasskeyRegistrationLinkRequest_ReturnCode{ReturnCode: &userv2.ReturnPasskeyRegistrationCode{}},
			},
			&userv2.CreatePasskeyRegistrationLinkResponse{
				Details: userDetails(10), Code: &userv2.PasskeyRegistrationCode{Id: placeholder, Code: placeholder},
			},
		}, {
			"a link to register a passkey leads somewhere",
			&userv2.CreatePasskeyRegistrationLinkRequest{UserId: "vera"},
			refusal(codes.InvalidArgument, "STEPUP-link", "send_link.url_template is required, because the code is of no use without a link"),
		}, {
			"a code to register a passkey is not made up",
			&userv2.RegisterPasskeyRequest{UserId: "vera", Domain: "example.com", Code: &userv2.PasskeyRegistrationCode{Id: "id", Code: "12345678"}},
			refusal(codes.InvalidArgument, "COMMAND-Eeb2a", "Code is invalid"),
		},
	}
}
