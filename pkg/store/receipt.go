package store

import (
	"fmt"
	"time"

	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/idempotency"
	"github.com/stepup-auth/stepup/pkg/sending"
	"github.com/stepup-auth/stepup/pkg/sending/price"
)

// Attributes of the receipts of a session or guard; those shared with sessions are
// declared there.
const (
	attrReceipts = "once"

	attrBody    = "b"
	attrDenied  = "no"
	attrDue     = "due"
	attrLease   = "til"
	attrPurpose = "p"
	attrLink    = "url"
	attrText    = "tx"
	attrBare    = "br"
	attrCounted = "ct"
	attrWait    = "wt" // nanoseconds
	attrHeld    = "hd"
	attrPrices  = "pr" // by channel, in millionths of a US dollar
)

func putReceipts(r *record, all idempotency.Receipts) {
	list := make([]any, len(all))
	for i, receipt := range all {
		list[i] = map[string]any(receiptItem(receipt).item)
	}
	if len(list) > 0 {
		r.item[attrReceipts] = list
	}
}

func receiptItem(receipt idempotency.Receipt) *record {
	r := newRecord()
	r.putBytes(attrID, receipt.Name[:])
	r.putBytes(attrBody, receipt.Body[:])
	put(r, attrKeyID, receipt.KeyID)
	r.putTime(attrAt, receipt.At)
	put(r, attrVersion, int64(receipt.Sequence))
	if receipt.Token != [16]byte{} {
		r.putBytes(attrToken, receipt.Token[:])
	}
	put(r, attrHeld, receipt.Held)
	r.putMap(attrPrices, pricesMap(receipt.Prices))
	r.putMap(attrSealed, metadataMap(receipt.Sealed))
	r.putMap(attrDenied, faultMap(receipt.Denied))
	if due := dueList(receipt.Due); len(due) > 0 {
		r.item[attrDue] = due
	}
	r.putTime(attrLease, receipt.LeaseUntil)
	return r
}

func pricesMap(prices map[sending.Channel]price.Micros) map[string]any {
	m := make(map[string]any, len(prices))
	for channel, p := range prices {
		m[string(channel)] = int64(p)
	}
	return m
}

// faultMap keeps what a client was told of a fault. Its cause went to the log.
func faultMap(f *fault.Fault) map[string]any {
	if f == nil {
		return nil
	}
	r := newRecord()
	put(r, attrKind, f.Kind.String())
	put(r, attrID, f.ID)
	put(r, attrText, f.Text)
	put(r, attrBare, f.Bare)
	put(r, attrCounted, f.Counted)
	put(r, attrFailures, int64(f.FailedAttempts))
	put(r, attrWait, int64(f.RetryAfter))
	return r.item
}

func dueList(all []sending.Due) []any {
	list := make([]any, len(all))
	for i, due := range all {
		d := newRecord()
		put(d, attrPurpose, string(due.Purpose))
		put(d, attrLink, due.URLTemplate)
		list[i] = map[string]any(d.item)
	}
	return list
}

func decodeReceipts(r *record) idempotency.Receipts {
	return decodeList(r, attrReceipts, decodeReceipt)
}

// decodeList reads a list of maps; nil when it is empty.
func decodeList[T any](r *record, name string, decode func(*record) T) []T {
	var out []T
	for _, v := range get[[]any](r, name) {
		m, ok := v.(map[string]any)
		if !ok && r.err == nil {
			r.err = fmt.Errorf("list %q holds %T", name, v)
		}
		n := &record{item: m}
		out = append(out, decode(n))
		r.adopt(n)
	}
	return out
}

func decodeReceipt(r *record) idempotency.Receipt {
	receipt := idempotency.Receipt{
		KeyID:      get[string](r, attrKeyID),
		At:         r.getTime(attrAt),
		Sequence:   uint64(get[int64](r, attrVersion)),
		Held:       get[bool](r, attrHeld),
		Denied:     decodeFault(r),
		Due:        decodeList(r, attrDue, decodeDue),
		LeaseUntil: r.getTime(attrLease),
	}
	receipt.Prices = decodePrices(r)
	copy(receipt.Name[:], get[[]byte](r, attrID))
	copy(receipt.Body[:], get[[]byte](r, attrBody))
	copy(receipt.Token[:], get[[]byte](r, attrToken))
	sealed := r.nested(attrSealed)
	defer r.adopt(sealed)
	for name := range sealed.item {
		if receipt.Sealed == nil {
			receipt.Sealed = make(map[string][]byte, len(sealed.item))
		}
		receipt.Sealed[name] = get[[]byte](sealed, name)
	}
	return receipt
}

func decodePrices(r *record) map[sending.Channel]price.Micros {
	n := r.nested(attrPrices)
	defer r.adopt(n)
	if len(n.item) == 0 {
		return nil
	}
	prices := make(map[sending.Channel]price.Micros, len(n.item))
	for channel := range n.item {
		prices[sending.Channel(channel)] = price.Micros(get[int64](n, channel))
	}
	return prices
}

func decodeDue(r *record) sending.Due {
	return sending.Due{Purpose: sending.Purpose(get[string](r, attrPurpose)), URLTemplate: get[string](r, attrLink)}
}

func decodeFault(r *record) *fault.Fault {
	n := r.nested(attrDenied)
	defer r.adopt(n)
	if len(n.item) == 0 {
		return nil
	}
	return &fault.Fault{
		Kind:           fault.ParseKind(get[string](n, attrKind)),
		ID:             get[string](n, attrID),
		Text:           get[string](n, attrText),
		Bare:           get[bool](n, attrBare),
		Counted:        get[bool](n, attrCounted),
		FailedAttempts: int(get[int64](n, attrFailures)),
		RetryAfter:     time.Duration(get[int64](n, attrWait)),
	}
}
