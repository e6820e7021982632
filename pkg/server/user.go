package server

import (
	"context"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/stepup-auth/stepup/pkg/access"
	objectv2 "github.com/stepup-auth/stepup/pkg/gen/zitadel/object/v2"
	pb "github.com/stepup-auth/stepup/pkg/gen/zitadel/user/v2"
	"github.com/stepup-auth/stepup/pkg/intent"
	"github.com/stepup-auth/stepup/pkg/sending"
	"github.com/stepup-auth/stepup/pkg/user"
)

// userServer translates the part of zitadel.user.v2.UserService that prepares users
// for sessions.
type userServer struct {
	door     *door
	service  *user.Service
	intents  *intent.Service
	instance string
	now      func() time.Time
}

// AddHumanUser implements the RPC of that name.
func (s *userServer) AddHumanUser(ctx context.Context, r *pb.AddHumanUserRequest) (*pb.AddHumanUserResponse, error) {
	caller, err := s.door.admit(ctx, r)
	if err != nil {
		return nil, err
	}
	switch {
	case len(r.GetMetadata()) > 0:
		return nil, unsupported("metadata")
	case r.GetOrganization().GetOrgDomain() != "":
		return nil, unsupported("organization.org_domain")
	}
	n := newHuman(r)
	n.ID, n.Username = r.GetUserId(), r.GetUsername()
	if n.Organization = r.GetOrganization().GetOrgId(); n.Organization == "" {
		n.Organization = organizationHeader(ctx)
	}
	if n.Once, err = once(ctx, caller, r); err != nil {
		return nil, err
	}
	u, err := s.service.Create(ctx, caller, n)
	if err != nil {
		return nil, err
	}
	return &pb.AddHumanUserResponse{
		UserId: u.ID, Details: userDetails(u.User), EmailCode: returned(u, sending.Email), PhoneCode: returned(u, sending.SMS),
	}, nil
}

// CreateUser implements the RPC of that name, for humans.
func (s *userServer) CreateUser(ctx context.Context, r *pb.CreateUserRequest) (*pb.CreateUserResponse, error) {
	caller, err := s.door.admit(ctx, r)
	if err != nil {
		return nil, err
	}
	switch {
	case r.GetMachine() != nil:
		return nil, errNoMachines
	case len(r.GetMetadata()) > 0:
		return nil, unsupported("metadata")
	case len(r.GetHuman().GetMetadata()) > 0: //nolint:staticcheck // deprecated, but not to be dropped in silence
		return nil, unsupported("human.metadata")
	}
	n := newHuman(r.GetHuman())
	n.ID, n.Username, n.Organization = r.GetUserId(), r.GetUsername(), r.GetOrganizationId()
	if n.Once, err = once(ctx, caller, r); err != nil {
		return nil, err
	}
	u, err := s.service.Create(ctx, caller, n)
	if err != nil {
		return nil, err
	}
	return &pb.CreateUserResponse{
		Id: u.ID, CreationDate: timestamp(u.Created), EmailCode: returned(u, sending.Email), PhoneCode: returned(u, sending.SMS),
	}, nil
}

// GetUserByID implements the RPC of that name.
func (s *userServer) GetUserByID(ctx context.Context, r *pb.GetUserByIDRequest) (*pb.GetUserByIDResponse, error) {
	caller, err := s.door.admit(ctx, r)
	if err != nil {
		return nil, err
	}
	u, err := s.service.Get(ctx, caller, r.GetUserId())
	if err != nil {
		return nil, err
	}
	return &pb.GetUserByIDResponse{Details: userDetails(u), User: userMessage(u)}, nil
}

// ListUsers implements the RPC of that name.
func (s *userServer) ListUsers(ctx context.Context, r *pb.ListUsersRequest) (*pb.ListUsersResponse, error) {
	caller, err := s.door.admit(ctx, r)
	if err != nil {
		return nil, err
	}
	f, err := userFilter(r)
	if err != nil {
		return nil, err
	}
	listing, err := s.service.List(ctx, caller, f)
	if err != nil {
		return nil, err
	}
	response := &pb.ListUsersResponse{
		Details:       s.listDetails(listing.Total),
		SortingColumn: r.GetSortingColumn(),
	}
	response.Details.TotalIsLowerBound = listing.AtLeast
	for _, u := range listing.Users {
		response.Result = append(response.Result, userMessage(u))
	}
	return response, nil
}

func (s *userServer) listDetails(total int) *objectv2.ListDetails {
	return &objectv2.ListDetails{TotalResult: uint64(total), Timestamp: timestamppb.New(s.now())}
}

// UpdateHumanUser implements the RPC of that name.
func (s *userServer) UpdateHumanUser(ctx context.Context, r *pb.UpdateHumanUserRequest) (*pb.UpdateHumanUserResponse, error) {
	caller, err := s.door.admit(ctx, r)
	if err != nil {
		return nil, err
	}
	change, err := updateOf(r)
	if err != nil {
		return nil, err
	}
	if change.Once, err = once(ctx, caller, r); err != nil {
		return nil, err
	}
	u, err := s.service.Update(ctx, caller, r.GetUserId(), change)
	if err != nil {
		return nil, err
	}
	return &pb.UpdateHumanUserResponse{Details: userDetails(u.User), EmailCode: returned(u, sending.Email), PhoneCode: returned(u, sending.SMS)}, nil
}

// SetPassword implements the RPC of that name.
func (s *userServer) SetPassword(ctx context.Context, r *pb.SetPasswordRequest) (*pb.SetPasswordResponse, error) {
	caller, err := s.door.admit(ctx, r)
	if err != nil {
		return nil, err
	}
	if r.GetVerificationCode() != "" {
		return nil, unsupported("verification_code")
	}
	u, err := s.service.SetPassword(ctx, caller, r.GetUserId(), user.PasswordChange{
		New:     plainPassword(r.GetNewPassword()),
		Current: r.GetCurrentPassword(),
	})
	if err != nil {
		return nil, err
	}
	return &pb.SetPasswordResponse{Details: userDetails(u)}, nil
}

// ListAuthenticationMethodTypes implements the RPC of that name. There is no credential
// without a domain, so that whether to include those makes no difference.
func (s *userServer) ListAuthenticationMethodTypes(ctx context.Context, r *pb.ListAuthenticationMethodTypesRequest) (*pb.ListAuthenticationMethodTypesResponse, error) {
	caller, err := s.door.admit(ctx, r)
	if err != nil {
		return nil, err
	}
	u, err := s.service.Get(ctx, caller, r.GetUserId())
	if err != nil {
		return nil, err
	}
	var types []pb.AuthenticationMethodType
	for _, m := range u.MethodsAt(r.GetDomainQuery().GetDomain()) {
		types = append(types, methodTypes[m])
	}
	return &pb.ListAuthenticationMethodTypesResponse{Details: s.listDetails(len(types)), AuthMethodTypes: types}, nil
}

// LockUser implements the RPC of that name.
func (s *userServer) LockUser(ctx context.Context, r *pb.LockUserRequest) (*pb.LockUserResponse, error) {
	d, err := s.onUser(ctx, r, s.service.Lock)
	return &pb.LockUserResponse{Details: d}, err
}

// UnlockUser implements the RPC of that name.
func (s *userServer) UnlockUser(ctx context.Context, r *pb.UnlockUserRequest) (*pb.UnlockUserResponse, error) {
	d, err := s.onUser(ctx, r, s.service.Unlock)
	return &pb.UnlockUserResponse{Details: d}, err
}

// DeactivateUser implements the RPC of that name.
func (s *userServer) DeactivateUser(ctx context.Context, r *pb.DeactivateUserRequest) (*pb.DeactivateUserResponse, error) {
	d, err := s.onUser(ctx, r, s.service.Deactivate)
	return &pb.DeactivateUserResponse{Details: d}, err
}

// ReactivateUser implements the RPC of that name.
func (s *userServer) ReactivateUser(ctx context.Context, r *pb.ReactivateUserRequest) (*pb.ReactivateUserResponse, error) {
	d, err := s.onUser(ctx, r, s.service.Reactivate)
	return &pb.ReactivateUserResponse{Details: d}, err
}

// DeleteUser implements the RPC of that name.
func (s *userServer) DeleteUser(ctx context.Context, r *pb.DeleteUserRequest) (*pb.DeleteUserResponse, error) {
	d, err := s.onUser(ctx, r, s.service.Delete)
	return &pb.DeleteUserResponse{Details: d}, err
}

// aboutUser is a request that names one user.
type aboutUser interface {
	message
	GetUserId() string
}

// onUser runs an operation that takes a user id and answers with details.
func (s *userServer) onUser(
	ctx context.Context, r aboutUser,
	operation func(context.Context, access.Caller, string) (*user.User, error),
) (*objectv2.Details, error) {
	caller, err := s.door.admit(ctx, r)
	if err != nil {
		return nil, err
	}
	u, err := operation(ctx, caller, r.GetUserId())
	if err != nil {
		return nil, err
	}
	return userDetails(u), nil
}
