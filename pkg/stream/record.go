package stream

import (
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/aws/aws-lambda-go/events"

	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/lifecycle"
	"github.com/stepup-auth/stepup/pkg/store"
	"github.com/stepup-auth/stepup/pkg/table"
)

// errRecord is a record that nobody can make sense of. Its cause repeats nothing of the
// record's content.
var errRecord = fault.New(fault.Internal, "STEPUP-stream-record", "A record of the stream cannot be read")

// record is one of a batch.
type record struct {
	// sequence is what an answer calls it by; empty when not even that was readable.
	sequence string
	// id is the same on each delivery.
	id        string
	operation string
	events    []lifecycle.Event
	// err is why there are no events, if they should be known.
	err error
}

// readRecord reads one record of the batch, as much of it as there is to read. A panic
// is an error of the record, because it would end the process for all the others.
func readRecord(raw []byte) (r record) {
	defer func() {
		if v := recover(); v != nil {
			r.events, r.err = nil, errRecord.Wrap(fmt.Errorf("reading it panicked with %T\n%s", v, debug.Stack()))
		}
	}()
	var name struct {
		EventID   string `json:"eventID"`
		EventName string `json:"eventName"`
		Change    struct {
			SequenceNumber string `json:"SequenceNumber"`
		} `json:"dynamodb"`
	}
	_ = json.Unmarshal(raw, &name) // what it could read it has read
	r = record{sequence: name.Change.SequenceNumber, id: name.EventID, operation: name.EventName}
	var full events.DynamoDBEventRecord
	err := json.Unmarshal(raw, &full)
	if err == nil {
		r.events, err = meaning(full)
	}
	if err != nil {
		r.events, r.err = nil, errRecord.Wrap(err)
	}
	return r
}

// meaning returns the events of a record; none for most.
func meaning(r events.DynamoDBEventRecord) ([]lifecycle.Event, error) {
	if r.EventID == "" || r.Change.SequenceNumber == "" {
		return nil, errors.New("it has no id or no sequence number")
	}
	key, err := keyOf(r.Change.Keys)
	if err != nil {
		return nil, err
	}
	before, after, err := images(r)
	if err != nil {
		return nil, err
	}
	change, err := store.DecodeChange(key, before, after)
	if change == nil || err != nil {
		return nil, err
	}
	return change.Events(lifecycle.Record{ID: r.EventID, At: r.Change.ApproximateCreationDateTime.UTC(), Swept: swept(r.UserIdentity)}), nil
}

// swept reports whether TTL removed the item: it is the one that removes as a service.
func swept(who *events.DynamoDBUserIdentity) bool {
	return who != nil && who.Type == "Service" && who.PrincipalID == "dynamodb.amazonaws.com"
}

// images returns the item before and after. Both are needed: a stream that has only
// one of them would tell half of what happens, and nobody would notice.
func images(r events.DynamoDBEventRecord) (before, after table.Item, err error) {
	var had, has bool
	switch events.DynamoDBOperationType(r.EventName) {
	case events.DynamoDBOperationTypeInsert:
		has = true
	case events.DynamoDBOperationTypeModify:
		had, has = true, true
	case events.DynamoDBOperationTypeRemove:
		had = true
	default:
		return nil, nil, errors.New("it is no INSERT, MODIFY or REMOVE")
	}
	if had != (len(r.Change.OldImage) > 0) || has != (len(r.Change.NewImage) > 0) {
		return nil, nil, errors.New("its images are not those of its operation; the stream must have NEW_AND_OLD_IMAGES")
	}
	if before, err = itemOf(r.Change.OldImage); err != nil {
		return nil, nil, fmt.Errorf("old image: %w", err)
	}
	if after, err = itemOf(r.Change.NewImage); err != nil {
		return nil, nil, fmt.Errorf("new image: %w", err)
	}
	return before, after, nil
}
