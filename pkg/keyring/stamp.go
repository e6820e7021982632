package keyring

// A stamp makes a short payload that anybody may carry and nobody can make:
//
//	version (1 byte) | length of the key id (1 byte) | key id | payload | MAC (32 bytes)
//
// The payload is readable; it is authenticated, not hidden.
const stampVersion = 1

// Stamp returns the payload with its proof of origin, under the current key. It
// fails only for a ring whose current key is gone, which Parse does not make.
func (r *Ring) Stamp(purpose string, payload []byte) ([]byte, error) {
	mac, err := r.MAC(purpose, r.current, payload)
	if err != nil {
		return nil, err
	}
	stamped := make([]byte, 0, 2+len(r.current)+len(payload)+MACSize)
	stamped = append(stamped, stampVersion, byte(len(r.current)))
	stamped = append(stamped, r.current...)
	stamped = append(stamped, payload...)
	return append(stamped, mac[:]...), nil
}

// Unstamp returns the payload, and whether it was stamped for the purpose by a key
// that is still in the ring. It takes any bytes.
func (r *Ring) Unstamp(purpose string, stamped []byte) (payload []byte, genuine bool) {
	if len(stamped) < 2 || stamped[0] != stampVersion {
		return nil, false
	}
	idSize, rest := int(stamped[1]), stamped[2:]
	if len(rest) < idSize+MACSize {
		return nil, false
	}
	keyID, rest := string(rest[:idSize]), rest[idSize:]
	payload, mac := rest[:len(rest)-MACSize], rest[len(rest)-MACSize:]
	if !r.Verify(purpose, keyID, mac, payload) {
		return nil, false
	}
	return payload, true
}
