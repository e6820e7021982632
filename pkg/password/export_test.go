package password

// Occupy takes one of the slots for computations until release is called.
func (h *Hasher) Occupy() (release func()) {
	h.slots <- struct{}{}
	return func() { <-h.slots }
}

// Dummy returns the hash that VerifyDummy works on.
func (h *Hasher) Dummy() string { return h.dummy.digest.Encode() }
