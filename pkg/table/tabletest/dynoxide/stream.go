package dynoxide

import (
	"bytes"
	"encoding/json"
	"net/http"
	"testing"
)

// Stream returns what the table's stream holds, oldest first, each record in the JSON
// that the stream's API has for it, which is that in which Lambda delivers it.
func Stream(t testing.TB, table string) []json.RawMessage {
	t.Helper()
	s := use(t)
	var streams struct{ Streams []struct{ StreamArn string } }
	s.ask(t, "ListStreams", map[string]any{"TableName": table}, &streams)
	var records []json.RawMessage
	for _, stream := range streams.Streams {
		var described struct {
			StreamDescription struct{ Shards []struct{ ShardId string } }
		}
		s.ask(t, "DescribeStream", map[string]any{"StreamArn": stream.StreamArn}, &described)
		for _, shard := range described.StreamDescription.Shards {
			records = append(records, s.shard(t, map[string]any{
				"StreamArn": stream.StreamArn, "ShardId": shard.ShardId, "ShardIteratorType": "TRIM_HORIZON",
			})...)
		}
	}
	return records
}

// shard reads until there is nothing more.
func (s *server) shard(t testing.TB, from map[string]any) []json.RawMessage {
	t.Helper()
	var all []json.RawMessage
	var start struct{ ShardIterator string }
	s.ask(t, "GetShardIterator", from, &start)
	for next := start.ShardIterator; next != ""; {
		var page struct {
			Records           []json.RawMessage
			NextShardIterator string
		}
		s.ask(t, "GetRecords", map[string]any{"ShardIterator": next}, &page)
		if len(page.Records) == 0 {
			break // an open shard always has a next iterator
		}
		all, next = append(all, page.Records...), page.NextShardIterator
	}
	return all
}

// ask makes one call of the stream's API. The SDK would decode the records, and they
// are wanted as they came.
func (s *server) ask(t testing.TB, call string, in, out any) {
	t.Helper()
	body, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+s.Addr+"/", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-amz-json-1.0")
	r.Header.Set("X-Amz-Target", "DynamoDBStreams_20120810."+call)
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=00")
	r.Header.Set("X-Amz-Date", "20260101T000000Z")
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s", call, response.Status)
	}
	if err := json.NewDecoder(response.Body).Decode(out); err != nil {
		t.Fatalf("%s: %v", call, err)
	}
}
