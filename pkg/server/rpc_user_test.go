package server_test

import (
	"slices"

	"google.golang.org/grpc/codes"

	"github.com/stepup-auth/stepup/pkg/app/apptest"
	objectv2 "github.com/stepup-auth/stepup/pkg/gen/zitadel/object/v2"
	userv2 "github.com/stepup-auth/stepup/pkg/gen/zitadel/user/v2"
)

// userRPCs are calls of the user service. They run in this order.
func userRPCs() []rpc {
	unknownUser := refusal(codes.NotFound, "QUERY-Dfbg2", "User could not be found")
	var (
		newID, otherID = "new", "other"
		taken          = "ada@stepup.test"
		renamed        = "Augusta"
	)
	profile := &userv2.SetHumanProfile{GivenName: "Grace", FamilyName: "Hopper"}
	email := func(address string) *userv2.SetHumanEmail { return &userv2.SetHumanEmail{Email: address} }
	return []rpc{
		{
			"a human is added",
			&userv2.AddHumanUserRequest{UserId: &newID, Profile: profile, Email: email("new@stepup.test")},
			&userv2.AddHumanUserResponse{UserId: "new", Details: userDetails(1), EmailEstimatedPriceUsdMicros: new(int64(2_000))},
		}, {
			"a login name is taken once",
			&userv2.AddHumanUserRequest{Username: &taken, Profile: profile, Email: email("again@stepup.test")},
			refusal(codes.AlreadyExists, "STEPUP-login-name", "Login name is already taken"),
		}, {
			"a user is created",
			&userv2.CreateUserRequest{
				OrganizationId: "default", UserId: &otherID,
				UserType: &userv2.CreateUserRequest_Human_{Human: &userv2.CreateUserRequest_Human{Profile: profile, Email: email("other@stepup.test")}},
			},
			&userv2.CreateUserResponse{Id: "other", CreationDate: epoch(), EmailEstimatedPriceUsdMicros: new(int64(2_000))},
		}, {
			"machines are of a later version",
			&userv2.CreateUserRequest{
				OrganizationId: "default",
				UserType:       &userv2.CreateUserRequest_Machine_{Machine: &userv2.CreateUserRequest_Machine{Name: "robot"}},
			},
			refusal(codes.Unimplemented, "STEPUP-machine", "machine users are not supported; use API keys"),
		}, {
			"a user is read",
			&userv2.GetUserByIDRequest{UserId: "ada"},
			&userv2.GetUserByIDResponse{Details: userDetails(1), User: human("ada")},
		},
		{"an unknown user is not read", &userv2.GetUserByIDRequest{UserId: unknown}, unknownUser},
		{
			"users are listed by id, unknown ones left out",
			&userv2.ListUsersRequest{Queries: []*userv2.SearchQuery{usersByID("ada", unknown)}},
			&userv2.ListUsersResponse{Details: listDetails(1), Result: []*userv2.User{human("ada")}},
		}, {
			"a page of users is bounded",
			&userv2.ListUsersRequest{Query: &objectv2.ListQuery{Limit: 1001}},
			refusal(codes.InvalidArgument, "QUERY-4M0fs", "Limit exceeded"),
		}, {
			"the ids of a search are bounded",
			&userv2.ListUsersRequest{Queries: []*userv2.SearchQuery{
				usersByID(slices.Repeat([]string{"ada"}, 600)...), usersByID(slices.Repeat([]string{"ben"}, 401)...),
			}},
			refusal(codes.InvalidArgument, "QUERY-4M0fs", "Limit exceeded"),
		}, {
			"the conditions of a search are bounded, those inside of others included",
			&userv2.ListUsersRequest{Queries: []*userv2.SearchQuery{{Query: &userv2.SearchQuery_OrQuery{
				OrQuery: &userv2.OrQuery{Queries: slices.Repeat([]*userv2.SearchQuery{usersByID("ada")}, 50)},
			}}}},
			refusal(codes.InvalidArgument, "STEPUP-list-queries", "queries: must hold at most 50 conditions, those of or_query included"),
		}, {
			"as many conditions as there may be are read",
			&userv2.ListUsersRequest{Queries: slices.Repeat([]*userv2.SearchQuery{usersByID("ada")}, 50)},
			&userv2.ListUsersResponse{Details: listDetails(1), Result: []*userv2.User{human("ada")}},
		}, {
			"a profile is updated",
			&userv2.UpdateHumanUserRequest{UserId: "ben", Profile: &userv2.SetHumanProfile{GivenName: "Ben", FamilyName: "Test", NickName: &renamed}},
			&userv2.UpdateHumanUserResponse{Details: userDetails(2)},
		}, {
			"a profile needs names",
			&userv2.UpdateHumanUserRequest{UserId: "ben", Profile: &userv2.SetHumanProfile{FamilyName: "Test"}},
			bare(codes.InvalidArgument, "invalid UpdateHumanUserRequest.Profile: embedded message failed validation"+
				" | caused by: invalid SetHumanProfile.GivenName: "+tooShort),
		}, {
			"a password is set",
			&userv2.SetPasswordRequest{UserId: "ben", NewPassword: &userv2.Password{Password: apptest.Password}},
			&userv2.SetPasswordResponse{Details: userDetails(3)},
		}, {
			"a short password is not",
			&userv2.SetPasswordRequest{UserId: "ben", NewPassword: &userv2.Password{Password: "short"}},
			refusal(codes.InvalidArgument, "DOMAIN-HuJf6", "Password is too short"),
		}, {
			"what a user can sign in with is listed",
			&userv2.ListAuthenticationMethodTypesRequest{UserId: "ben"},
			&userv2.ListAuthenticationMethodTypesResponse{
				Details:         listDetails(1),
				AuthMethodTypes: []userv2.AuthenticationMethodType{userv2.AuthenticationMethodType_AUTHENTICATION_METHOD_TYPE_PASSWORD},
			},
		},
		{"nothing is listed of an unknown user", &userv2.ListAuthenticationMethodTypesRequest{UserId: unknown}, unknownUser},
		{"a user is locked", &userv2.LockUserRequest{UserId: "cas"}, &userv2.LockUserResponse{Details: userDetails(2)}},
		{
			"a locked user is not locked again",
			&userv2.LockUserRequest{UserId: "cas"},
			refusal(codes.FailedPrecondition, "COMMAND-lgws8wtsqf", "User cannot be locked in this state"),
		},
		{"a user is unlocked", &userv2.UnlockUserRequest{UserId: "cas"}, &userv2.UnlockUserResponse{Details: userDetails(3)}},
		{
			"an unlocked user is not unlocked again",
			&userv2.UnlockUserRequest{UserId: "cas"},
			refusal(codes.FailedPrecondition, "COMMAND-olb9vb0oca", "User is not locked"),
		},
		{"a user is deactivated", &userv2.DeactivateUserRequest{UserId: "dan"}, &userv2.DeactivateUserResponse{Details: userDetails(2)}},
		{
			"an inactive user is not deactivated again",
			&userv2.DeactivateUserRequest{UserId: "dan"},
			refusal(codes.FailedPrecondition, "COMMAND-5gunjw0cd7", "User is already inactive"),
		},
		{"a user is reactivated", &userv2.ReactivateUserRequest{UserId: "dan"}, &userv2.ReactivateUserResponse{Details: userDetails(3)}},
		{
			"an active user is not reactivated",
			&userv2.ReactivateUserRequest{UserId: "dan"},
			refusal(codes.FailedPrecondition, "COMMAND-s5qqcz97hf", "User is not inactive"),
		},
		{"a user is deleted", &userv2.DeleteUserRequest{UserId: "eve"}, &userv2.DeleteUserResponse{Details: userDetails(2)}},
		{"a deleted user is gone", &userv2.DeleteUserRequest{UserId: "eve"}, unknownUser},
	}
}

func usersByID(ids ...string) *userv2.SearchQuery {
	return &userv2.SearchQuery{Query: &userv2.SearchQuery_InUserIdsQuery{InUserIdsQuery: &userv2.InUserIDQuery{UserIds: ids}}}
}
