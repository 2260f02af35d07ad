package kafkaapi

import (
	"context"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// ApiVersions (key 18), versions 0 to 4.
//
// Answers with the table that drives dispatch. A request of a newer version is answered in version 0 with
// UNSUPPORTED_VERSION and the list, so that the client can ask again in a version that both know. The header of the
// answer is the old one in all versions.
//
// Not implemented: features (none is there to be finalized).
func apiVersionsAPI() *api {
	return &api{
		key: keyAPIVersions, name: "ApiVersions", min: 0, max: 4, family: familyAdmin,
		new: func() kmsg.Request { return kmsg.NewPtrApiVersionsRequest() }, shape: shapeAPIVersions, handle: apiVersions,
	}
}

func apiVersions(_ context.Context, q *request) answer {
	req := q.body.(*kmsg.ApiVersionsRequest)
	resp := kmsg.NewPtrApiVersionsResponse()
	resp.SetVersion(q.version)
	if q.version >= 3 && (!validSoftware(req.ClientSoftwareName) || !validSoftware(req.ClientSoftwareVersion)) {
		resp.ErrorCode = q.code(kerr.InvalidRequest)
		return message{resp}
	}
	resp.ApiKeys = q.server.apiKeys()
	return message{resp}
}

// apiVersionsUnknown is the answer to a version that the server does not know.
func (s *Server) apiVersionsUnknown() answer {
	resp := kmsg.NewPtrApiVersionsResponse()
	resp.ErrorCode = kerr.UnsupportedVersion.Code
	resp.ApiKeys = s.apiKeys()
	return message{resp}
}

func (s *Server) apiKeys() []kmsg.ApiVersionsResponseApiKey {
	keys := make([]kmsg.ApiVersionsResponseApiKey, 0, len(s.list))
	for _, a := range s.list {
		k := kmsg.NewApiVersionsResponseApiKey()
		k.ApiKey, k.MinVersion, k.MaxVersion = a.Key, a.Min, a.Max
		keys = append(keys, k)
	}
	return keys
}

// validSoftware is Kafka's rule for what a client may call itself (KIP-511): letters, digits, dots and hyphens, the
// first and last neither dot nor hyphen.
func validSoftware(s string) bool {
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case (c == '.' || c == '-') && i > 0 && i < len(s)-1:
		default:
			return false
		}
	}
	return s != ""
}
