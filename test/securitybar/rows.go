package securitybar

// Row is one requirement.
type Row struct {
	// ID is what tests carry in their names, such as L3. It never changes its meaning.
	ID string
	// Requirement is in our own words, with the number that we hold ourselves to.
	Requirement string
	// Source is the clause: N is NIST SP 800-63B-4, A is OWASP ASVS 5.0.
	Source string
	// Note says where we deviate, or what of the row is not tested. May be empty.
	Note string
	// Reason says why there is no test. A row has either a test or a reason.
	Reason string
}

// Section is what rows have in common.
type Section struct {
	Title string
	Rows  []Row
}

// Sections are all rows, in the order of the document.
func Sections() []Section {
	return []Section{
		{"Codes by SMS and mail", codes()},
		{"Authenticator apps and recovery codes", apps()},
		{"Passkeys and security keys", keys()},
		{"Passwords", passwords()},
		{"Guessing", guessing()},
		{"Sessions and tokens", sessions()},
		{"Cryptography, logs and failures", operation()},
	}
}

func codes() []Row {
	return []Row{
		{ID: "O1", Requirement: "A code has 8 digits, all equally likely.", Source: "N 3.1.3.2, A 6.5.3, 6.5.4"},
		{
			ID: "O2", Requirement: "A code lives 5 minutes; the standard allows 10.", Source: "N 3.1.3.2, A 6.5.5",
			Note: "The life is a constant, so there is no setting that could be too long.",
		},
		{ID: "O3", Requirement: "A code is accepted once.", Source: "N 3.1.3.2, A 6.5.1"},
		{ID: "O4", Requirement: "Five wrong answers to a code are compared with it; then it is dead.", Source: "N 3.1.3.2, A 6.6.3"},
		{ID: "O5", Requirement: "A new code does not reset the count of failures.", Source: "N 3.1.3.2"},
		{ID: "O6", Requirement: "A code is worth nothing outside the session or address that it was asked for.", Source: "A 6.6.2"},
		{ID: "O7", Requirement: "A code cannot be read from what is stored.", Source: "A 6.5.2, N 3.1.2.2"},
		{ID: "O8", Requirement: "Secrets are compared in constant time.", Source: "A 11.2.4"},
		{ID: "O9", Requirement: "One message to an address in a minute, exactly; one that surely did not leave is not counted.", Source: "A 2.4.1, 6.6.4"},
		{ID: "O10", Requirement: "What an address may get is counted over all codes and sessions.", Source: "N 3.2.2"},
		{
			ID: "O11", Requirement: "A code by mail raises no assurance.", Source: "N 3.1.3.1, A 6.3.6",
			Note: "It is a factor of the session all the same, because the wire contract says so.",
		},
		{ID: "O12", Requirement: "A phone is verified before codes go to it, and assurance that rests on it is marked as restricted.", Source: "N 3.1.3.3, 3.2.9, A 6.6.1"},
		{
			ID: "O13", Requirement: "Signs of a swapped SIM are considered before a code is sent.", Source: "N 3.1.3.3",
			Reason: "The clause recommends it. What operators of networks know is sold by third parties, and none is built in; the place for it is a sender (`pkg/notify`).",
		},
		{ID: "O14", Requirement: "No code is handed out that could not work.", Source: "ours"},
	}
}

func apps() []Row {
	return []Row{
		{ID: "T1", Requirement: "A seed has 160 random bits and is encrypted at rest.", Source: "N 3.1.4, A 6.5.3"},
		{ID: "T2", Requirement: "Codes are those of the standard, in steps of 30 s.", Source: "N 3.1.4, RFC 4226 D, RFC 6238 B"},
		{ID: "T3", Requirement: "A step is accepted once, and none before it afterwards.", Source: "N 3.1.4, RFC 6238 5.2, A 6.5.1"},
		{
			ID: "T4", Requirement: "At most one step either side of now counts.", Source: "RFC 6238 5.2, A 6.5.5",
			Note: "ASVS asks for a life of 30 s. One step either side is our default, because clocks of phones drift; single use makes up for it.",
		},
		{ID: "T5", Requirement: "The time of a check is the server's.", Source: "A 6.5.8"},
		{ID: "T6", Requirement: "A recovery code has 80 random bits, works once, and is stored as a MAC.", Source: "N 4.2.1.1, 3.1.2.2, A 6.5.1, 6.5.2"},
		{ID: "T7", Requirement: "A removed factor is refused at once.", Source: "A 6.5.6"},
	}
}

func keys() []Row {
	return []Row{
		{ID: "W1", Requirement: "A challenge is 32 random bytes, good once, and expires here.", Source: "N 3.1.6.2, A 6.7.2, WebAuthn L3 13.4.3"},
		{ID: "W2", Requirement: "An answer counts for its relying party, from an allowed origin, and not from a foreign frame.", Source: "WebAuthn L3 7.2"},
		{ID: "W3", Requirement: "User verification that was required is enforced, and otherwise reported as it was.", Source: "N 3.1.7.2"},
		{ID: "W4", Requirement: "The signature counter is kept; one that does not grow is refused as a clone.", Source: "WebAuthn L3 6.1.1"},
		{ID: "W5", Requirement: "A key that may leave its device stays below AAL3, and cannot change that.", Source: "N 2.3.2, WebAuthn L3 6.1.3"},
		{ID: "W6", Requirement: "A discoverable login belongs to the owner of the credential.", Source: "WebAuthn L3 7.2"},
		{ID: "W7", Requirement: "A wrong answer is the caller's fault, never ours, and counts.", Source: "A 16.5.1"},
		{
			ID: "W8", Requirement: "The list of allowed credentials says nothing about people who do not exist.", Source: "A 6.3.8, WebAuthn L3 14.6.2",
			Note: "Where no user is named there is no list. A caller who may name users is told which ones are unknown, as the wire contract has it.",
		},
	}
}

func passwords() []Row {
	return []Row{
		{
			ID: "P1", Requirement: "8 characters or more, long ones as received, and no rules about their kind.", Source: "N 3.1.1.2, A 6.2.1, 6.2.5, 6.2.9, 6.2.10",
			Note: "NIST asks for 15 where the password is the only factor: `STEPUP_PASSWORD_MIN_LENGTH`.",
		},
		{ID: "P2", Requirement: "Common and leaked passwords are refused when they are set, and only then.", Source: "N 3.1.1.2, A 6.2.4, 6.2.12"},
		{ID: "P3", Requirement: "Settings below the floor for hashes stop the start.", Source: "A 11.4.2"},
		{
			ID: "P4", Requirement: "Each hash has a salt of its own, of 128 bits.", Source: "N 3.1.1.2",
			Note: "The clause also recommends a second, keyed hash. There is none, so that hashes can be exported; the table is encrypted by KMS.",
		},
		{ID: "P5", Requirement: "Hashes of other systems verify within bounds, and are replaced at the first success.", Source: "A 11.2.2"},
		{ID: "P6", Requirement: "An unknown user costs the same hash as a wrong password.", Source: "A 6.3.8"},
	}
}

func guessing() []Row {
	return []Row{
		{ID: "L1", Requirement: "At 100 failures in a row an authenticator is disabled; a success before that sets the count to zero.", Source: "N 3.2.2"},
		{ID: "L2", Requirement: "From the tenth failure on there is a wait of 30 s to 1 h, which is told and not slept.", Source: "N 3.2.2, A 15.2.2"},
		{ID: "L3", Requirement: "Parallel guesses learn no more than the limit.", Source: "A 15.4.2, 2.3.3, 2.3.4"},
		{
			ID: "L4", Requirement: "Failures of one authenticator do not lock another.", Source: "A 6.1.1, 6.3.1",
			Note: "There is no lane for known devices: somebody who floods a password locks it for its owner too, who still has the other factors.",
		},
		{
			ID: "L5", Requirement: "A client's address is the gateway's word, never a header of the client.", Source: "A 15.3.4, 4.1.3",
		},
		{ID: "L6", Requirement: "One channel cannot use up the messages of another.", Source: "ours"},
		{ID: "L7", Requirement: "Odd sign-ins become events.", Source: "A 6.3.5"},
	}
}

func sessions() []Row {
	return []Row{
		{ID: "S1", Requirement: "A token has 128 random bits and cannot be made up.", Source: "N 5.1, A 7.2.3, 11.5.1"},
		{ID: "S2", Requirement: "Every step makes a new token, and the old one is dead at once.", Source: "A 7.2.4"},
		{
			ID: "S3", Requirement: "A session ends by the limit of its assurance level, and who asked for longer is told.", Source: "N 2.1.3, 2.2.3, 2.3.3, A 7.3.2",
			Note: "There are no limits until `STEPUP_SESSION_LIMITS` sets them: `nist` are those of the standard.",
		},
		{ID: "S4", Requirement: "A session that nobody uses ends, where limits are set.", Source: "N 2.2.3, 2.3.3, 5.2, A 7.3.1"},
		{ID: "S5", Requirement: "What is over is refused on every path though its row is still there.", Source: "A 7.4.1"},
		{ID: "S6", Requirement: "The end of a user is the end of all their sessions, by one write.", Source: "A 7.4.2"},
		{ID: "S7", Requirement: "After a change of factors the other sessions can be ended, all but this one.", Source: "A 7.4.3"},
		{ID: "S8", Requirement: "Users end their own sessions, administrators those of others.", Source: "A 7.4.5, 7.5.2"},
		{ID: "S9", Requirement: "Users change their factors and addresses only after a recent check.", Source: "A 7.5.1"},
		{ID: "S10", Requirement: "Who signed in with fewer factors than are set up cannot add another.", Source: "N 5.1, 4.1.2.1"},
		{ID: "S11", Requirement: "Who does not meet a requirement is told so in standard words.", Source: "RFC 9470, A 6.8.4, 7.5.3"},
		{ID: "S12", Requirement: "Methods have the names of the registry, or a prefix.", Source: "RFC 8176"},
		{ID: "S13", Requirement: "An external identity is provider and account together; it counts once; what the provider did is kept apart.", Source: "A 6.8.1 to 6.8.4"},
		{
			ID: "S14", Requirement: "No answer may be stored on the way.", Source: "A 14.2.1, 14.3.2, 14.3.3, N 5.1",
			Note: "The wire contract lets GetSession take its token from the query; callers who care send it as the credential. No log has a query.",
		},
		{ID: "S15", Requirement: "Nobody reaches or sees what their role and organization do not cover.", Source: "A 8.2.2, 8.2.3, 8.4.1, 15.3.3"},
	}
}

func operation() []Row {
	return []Row{
		{ID: "C1", Requirement: "What is encrypted is authenticated: any changed bit is an error.", Source: "A 11.2.3, 11.3.2, 11.3.3"},
		{ID: "C2", Requirement: "Keys rotate, old data stays readable, and no nonce repeats.", Source: "A 13.3.1, 13.3.4, 11.3.4"},
		{ID: "C3", Requirement: "A sealed value opens only where it belongs.", Source: "A 11.3.3"},
		{ID: "G1", Requirement: "Every request, and every check by factor and outcome, is logged or counted.", Source: "A 16.2.1, 16.2.2, 16.3.1 to 16.3.4"},
		{ID: "G2", Requirement: "No secret is in logs, metrics, events, errors or the store.", Source: "A 16.2.5, 16.5.1, 14.2.6"},
		{
			ID: "G3", Requirement: "Nobody writes lines into the log.", Source: "A 16.4.1, 16.4.2",
			Note: "Logs are not chained; who may write to CloudWatch is IAM's business.",
		},
		{ID: "R1", Requirement: "A dependency that fails is a refusal in time: nothing opens, nothing is half done, the process lives.", Source: "A 16.5.2, 16.5.3"},
		{ID: "R2", Requirement: "A repetition has one effect and one answer.", Source: "IETF draft on Idempotency-Key"},
		{ID: "R3", Requirement: "Costly work is bounded: bodies, parameters of hashes, hashes at a time.", Source: "A 15.1.3, 15.2.2"},
	}
}
