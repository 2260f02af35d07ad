package kafkaapi

// Usage is what clients make a server hold, and what they may.
type Usage struct {
	RequestBytes, RequestBytesMax int64 // of requests that are read and not answered
	Connections, ConnectionsMax   int
}

// Usage tells what the server holds now.
func (s *Server) Usage() Usage {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Usage{
		RequestBytes: s.budget.held.Load(), RequestBytesMax: s.budget.max, Connections: s.open, ConnectionsMax: s.limits.Connections,
	}
}
