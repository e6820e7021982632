package keyring

import "encoding/hex"

// fingerprintPurpose separates fingerprints from all else that is made with a key.
const fingerprintPurpose = "fingerprint"

// Fingerprint returns 32 characters that tell one key from all others and nothing about
// it, so that data from another deployment, whose key may have the same id, is not taken
// for one's own. The error has ErrUnknownKey in its chain when the ring lacks the key.
func (r *Ring) Fingerprint(keyID string) (string, error) {
	sum, err := r.MAC(fingerprintPurpose, keyID)
	if err != nil {
		return "", err
	}
	return hex.EncodeToString(sum[:MinMACSize]), nil
}
