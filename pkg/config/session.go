package config

import (
	"errors"
	"strings"
	"time"

	"github.com/stepup-auth/stepup/pkg/session"
)

var errSessionLimits = errors.New("is not none, nist, or three limits such as 720h,24h/1h,12h/15m")

// setSessionLimits reads the name of limits, or those of AAL1, AAL2 and AAL3: each the
// longest time, and after a slash the longest without use. 0 is no limit.
func setSessionLimits(c *Config, s string) error {
	switch strings.ToLower(s) {
	case "none":
		return nil
	case "nist":
		c.SessionLimits = session.NISTLimits()
		return nil
	}
	var limits session.Limits
	levels := strings.Split(s, ",")
	if len(levels) != len(limits) {
		return errSessionLimits
	}
	for i, level := range levels {
		longest, idle, both := strings.Cut(strings.TrimSpace(level), "/")
		var problems [2]error
		limits[i].Max, problems[0] = time.ParseDuration(longest)
		if both {
			limits[i].Idle, problems[1] = time.ParseDuration(idle)
		}
		if errors.Join(problems[:]...) != nil {
			return errSessionLimits
		}
	}
	c.SessionLimits = limits
	return limits.Validate()
}
