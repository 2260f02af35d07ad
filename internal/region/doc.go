// Package region assembles one region out of its parts: a coordinator, agents, the links, and the admin server. It is
// wiring: which backend is behind an interface is decided here and in cmd, nowhere else.
package region
