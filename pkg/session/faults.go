package session

import "github.com/stepup-auth/stepup/pkg/fault"

// Faults of the session service (wire contract, section 4.4).
var (
	ErrNotFound       = fault.New(fault.NotFound, "QUERY-SFeaa", "Session does not exist")
	ErrTerminated     = fault.New(fault.FailedPrecondition, "COMMAND-Hewfq", "Session already terminated")
	ErrExpired        = fault.New(fault.FailedPrecondition, "COMMAND-Hkl3d", "Session has expired")
	ErrReadToken      = fault.New(fault.PermissionDenied, "QUERY-dsfr3", "Permission denied")
	ErrDeleteToken    = fault.New(fault.PermissionDenied, "COMMAND-sGr42", "Session Token is invalid")
	ErrUserUnknown    = fault.New(fault.NotFound, "QUERY-Dfbg2", "User could not be found")
	ErrUserChange     = fault.New(fault.InvalidArgument, "", "user change not possible")
	ErrPasswordNoUser = fault.New(fault.FailedPrecondition, "COMMAND-Sfw3f", "User ID missing")
	ErrPasswordGone   = fault.New(fault.FailedPrecondition, "COMMAND-3n77z", "User could not be found")
	ErrLifetime       = fault.New(fault.InvalidArgument, "COMMAND-asEG4", "Session lifetime must not be less than 0")
	// ErrMoved is a state other than the one that the caller knows (RFC 9110, section
	// 15.5.13).
	ErrMoved = fault.New(fault.PreconditionNotMet, "STEPUP-if-match-failed", "Session has changed")
	// ErrKeep ends nothing: whoever spares a session would end up without any.
	ErrKeep = fault.New(fault.FailedPrecondition, "STEPUP-keep-session", "keep_session_id: the user has no such session, or it is over")

	// ErrUserNotActive carries the raw key as its text, because clients of the
	// original match exactly that.
	ErrUserNotActive = fault.New(fault.FailedPrecondition, "SESSION-Gj4ko", "Errors.User.NotActive")
)

// Faults of codes and of the challenges for them.
var (
	ErrTOTPNoUser     = fault.New(fault.InvalidArgument, "COMMAND-8N9ds", "User ID missing")
	ErrRecoveryNoUser = fault.New(fault.InvalidArgument, "COMMAND-4m9s2", "User ID missing")
	ErrCodeNoUser     = fault.New(fault.InvalidArgument, "COMMAND-S453v", "User ID missing")
	ErrCodeEmpty      = fault.New(fault.InvalidArgument, "COMMAND-SJl2g", "Code is empty")
	ErrCodeNotReady   = fault.New(fault.FailedPrecondition, "COMMAND-d2r52", "Multifactor OTP (OneTimePassword) isn't ready")
	ErrCodeNotFound   = fault.New(fault.FailedPrecondition, "COMMAND-S34gh", "Code not found")
	ErrCodeExpired    = fault.New(fault.FailedPrecondition, "CODE-QvUQ4P", "Code is expired")
	ErrCodeWrong      = fault.New(fault.InvalidArgument, "CODE-woT0xc", "Code is invalid")
	ErrCodeLocked     = fault.New(fault.FailedPrecondition, "COMMAND-S6h4R", "User is locked")
	ErrSMSNoUser      = fault.New(fault.FailedPrecondition, "COMMAND-JKL3g", "User ID missing")
	ErrSMSNotReady    = fault.New(fault.FailedPrecondition, "COMMAND-BJ2g3", "Multifactor OTP (OneTimePassword) isn't ready")
	ErrEmailNoUser    = fault.New(fault.FailedPrecondition, "COMMAND-JK3gp", "User ID missing")
	ErrEmailNotReady  = fault.New(fault.FailedPrecondition, "COMMAND-JKLJ3", "Multifactor OTP (OneTimePassword) isn't ready")
)

// Faults of passkeys and U2F keys, beside those of packages passkey and user.
var (
	ErrKeyNoChallenge = fault.New(fault.FailedPrecondition, "COMMAND-Ioqu5", "Session without WebAuthN challenge")
	ErrKeyNoUser      = fault.New(fault.FailedPrecondition, "COMMAND-eeR2e", "User ID missing")
	ErrKeyUserGone    = fault.New(fault.FailedPrecondition, "COMMAND-Df4b3", "User could not be found")
)

// Faults of limits that the original does not have.
var (
	errMetadataCount = fault.New(fault.InvalidArgument, "STEPUP-metadata-count", "metadata: a session holds at most 64 keys")
	errMetadataKey   = fault.New(fault.InvalidArgument, "STEPUP-metadata-key", "metadata: keys must have between 1 and 200 characters")
	errMetadataValue = fault.New(fault.InvalidArgument, "STEPUP-metadata-value", "metadata: values must not exceed 4096 bytes")
	errAgentHeader   = fault.New(fault.InvalidArgument, "STEPUP-user-agent", "user_agent: header names must not be empty")
	errAgentSize     = fault.New(fault.InvalidArgument, "STEPUP-user-agent", "user_agent: must not exceed 16384 bytes, its fingerprint_id 200 characters")
)

// Faults of a session token as bearer (wire contract, section 4.3).
var (
	errBearerInvalid  = fault.New(fault.Unauthenticated, "AUTH-7fs1e", "Errors.Token.Invalid")
	errBearerExpired  = fault.New(fault.PermissionDenied, "AUTHZ-EGDo3", "session expired")
	errBearerFactors  = fault.New(fault.PermissionDenied, "AUTHZ-Kl3p0", "authentication required")
	errBearerTooFew   = fault.New(fault.PermissionDenied, "AUTHZ-Kl3p0", "mfa required")
	errListLimit      = fault.New(fault.InvalidArgument, "QUERY-4M0fs", "Limit exceeded")
	errListFilters    = fault.New(fault.InvalidArgument, "STEPUP-list-queries", "queries: must hold at most 50 conditions")
	errListCreator    = fault.New(fault.InvalidArgument, "GRPC-x8n24uh", "List.Query.Invalid")
	errListUserAgent  = fault.New(fault.InvalidArgument, "GRPC-x8n23uh", "List.Query.Invalid")
	errListComparison = fault.New(fault.InvalidArgument, "GRPC-Dwigt", "List.Query.InvalidComparisonMethod")
)
