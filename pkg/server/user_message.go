package server

import (
	"github.com/stepup-auth/stepup/pkg/fault"
	objectv2 "github.com/stepup-auth/stepup/pkg/gen/zitadel/object/v2"
	pb "github.com/stepup-auth/stepup/pkg/gen/zitadel/user/v2"
	"github.com/stepup-auth/stepup/pkg/user"
)

var errNoMachines = fault.New(fault.Unimplemented, "STEPUP-machine", "machine users are not supported; use API keys")

// unsupported refuses a field that this version does not carry out, rather than
// dropping what the client asked for.
func unsupported(field string) error {
	return fault.New(fault.Unimplemented, "STEPUP-field", field+" is not supported by this version")
}

// humanRequest is what AddHumanUser and CreateUser say about a human alike.
type humanRequest interface {
	GetProfile() *pb.SetHumanProfile
	GetEmail() *pb.SetHumanEmail
	GetPhone() *pb.SetHumanPhone
	GetPassword() *pb.Password
	GetHashedPassword() *pb.HashedPassword
	GetIdpLinks() []*pb.IDPLink
	GetTotpSecret() string
}

func newHuman(r humanRequest) user.Registration {
	n := user.Registration{Profile: profileOf(r.GetProfile()), TOTPSecret: r.GetTotpSecret(), Links: linksOf(r.GetIdpLinks())}
	n.Email, n.EmailCode = emailOf(r.GetEmail())
	n.Phone, n.PhoneCode = phoneOf(r.GetPhone())
	n.Password = plainPassword(r.GetPassword())
	if h := r.GetHashedPassword(); h != nil {
		n.Password = hashedPassword(h)
	}
	return n
}

func plainPassword(p *pb.Password) user.NewPassword {
	return user.NewPassword{Plain: p.GetPassword(), ChangeRequired: p.GetChangeRequired()}
}

func hashedPassword(h *pb.HashedPassword) user.NewPassword {
	return user.NewPassword{Hash: h.GetHash(), ChangeRequired: h.GetChangeRequired()}
}

func profileOf(p *pb.SetHumanProfile) user.Profile {
	return user.Profile{
		GivenName:   p.GetGivenName(),
		FamilyName:  p.GetFamilyName(),
		NickName:    p.GetNickName(),
		DisplayName: p.GetDisplayName(),
		Language:    p.GetPreferredLanguage(),
		Gender:      user.Gender(p.GetGender()),
	}
}

// updateOf reads an update; absent fields stay as they are.
func updateOf(r *pb.UpdateHumanUserRequest) (user.Update, error) {
	c := user.Update{Username: r.Username}
	if p := r.GetProfile(); p != nil {
		c.Profile = &user.ProfileChange{
			GivenName:   p.GetGivenName(),
			FamilyName:  p.GetFamilyName(),
			NickName:    p.NickName,
			DisplayName: p.DisplayName,
			Language:    p.PreferredLanguage,
		}
		if p.Gender != nil {
			c.Profile.Gender = new(user.Gender(p.GetGender()))
		}
	}
	if r.GetEmail() != nil {
		email, code := emailOf(r.GetEmail())
		c.Email, c.EmailCode = &email, code
	}
	if r.GetPhone() != nil {
		phone, code := phoneOf(r.GetPhone())
		c.Phone, c.PhoneCode = &phone, code
	}
	if p := r.GetPassword(); p != nil {
		if p.GetVerificationCode() != "" {
			return user.Update{}, unsupported("password.verification_code")
		}
		change := user.PasswordChange{New: plainPassword(p.GetPassword()), Current: p.GetCurrentPassword()}
		if h := p.GetHashedPassword(); h != nil {
			change.New = hashedPassword(h)
		}
		c.Password = &change
	}
	return c, nil
}

func userDetails(u *user.User) *objectv2.Details {
	return &objectv2.Details{
		Sequence:      u.Guard.Version,
		ChangeDate:    timestamp(u.Guard.Changed),
		CreationDate:  timestamp(u.Created),
		ResourceOwner: u.Organization,
	}
}

func userMessage(u *user.User) *pb.User {
	gender := pb.Gender(u.Profile.Gender)
	display := u.DisplayName()
	human := &pb.HumanUser{
		UserId:             u.ID,
		State:              pb.UserState(u.Guard.State),
		Username:           u.Username,
		LoginNames:         []string{u.LoginName()},
		PreferredLoginName: u.LoginName(),
		Profile: &pb.HumanProfile{
			GivenName:         u.Profile.GivenName,
			FamilyName:        u.Profile.FamilyName,
			NickName:          optional(u.Profile.NickName),
			DisplayName:       &display,
			PreferredLanguage: optional(u.Profile.Language),
			Gender:            &gender,
		},
		Email:                  &pb.HumanEmail{Email: u.Email.Address, IsVerified: u.Email.Verified},
		Phone:                  &pb.HumanPhone{Phone: u.Phone.Address, IsVerified: u.Phone.Verified},
		PasswordChangeRequired: u.Password.ChangeRequired,
		PasswordChanged:        timestamp(u.Guard.PasswordChanged),
	}
	return &pb.User{
		UserId:             u.ID,
		Details:            userDetails(u),
		State:              human.GetState(),
		Username:           human.GetUsername(),
		LoginNames:         human.GetLoginNames(),
		PreferredLoginName: human.GetPreferredLoginName(),
		Type:               &pb.User_Human{Human: human},
	}
}
