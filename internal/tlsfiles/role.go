package tlsfiles

import (
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
)

// Role is what a certificate is for, as its organizational unit says.
type Role string

// The roles. A certificate may have several.
const (
	Agent       Role = "gnomon-agent"       // the internal API
	Coordinator Role = "gnomon-coordinator" // everything
	Region      Role = "gnomon-region"      // what links, and coordinators of the other region, ask
	Operator    Role = "gnomon-operator"    // links, failovers, health, profiles
	Monitor     Role = "gnomon-monitor"     // metrics
)

// Roles are all of them.
var Roles = []Role{Agent, Coordinator, Region, Operator, Monitor}

const rolePrefix = "gnomon-"

// RolesOf returns a certificate's roles. named is false when no organizational unit has the form of a role: then the
// certificate is not restricted.
func RolesOf(cert *x509.Certificate) (roles []Role, named bool) {
	for _, unit := range cert.Subject.OrganizationalUnit {
		if !strings.HasPrefix(unit, rolePrefix) {
			continue
		}
		named = true // one that this build does not know grants nothing
		if slices.Contains(Roles, Role(unit)) {
			roles = append(roles, Role(unit))
		}
	}
	return roles, named
}

// Servers are the roles of those that a client trusts to answer; none: a server that is none of ours, as an etcd, whose name and chain
// have to do.
type Servers []Role

// Who is dialed. Nothing inside asks agents; an operator asks whether one is ready.
var (
	AnyServer    Servers
	Coordinators = Servers{Coordinator}
	Processes    = Servers{Coordinator, Agent}
)

// RoleError says that a server is one of the authority's, and not what was dialed: an agent that poses as a coordinator.
type RoleError struct {
	Subject string // of the certificate that it shows
	Has     []Role
	Want    Servers
}

// Error says what was met, and what to correct.
func (e *RoleError) Error() string {
	return fmt.Sprintf("the server's certificate %q has the roles %q, and only %q may answer here: correct the address, or give that process a certificate of its role",
		e.Subject, e.Has, e.Want)
}

// check refuses a server's certificate that names roles, and none of those. One that names none is not restricted, as everywhere.
func (s Servers) check(cert *x509.Certificate) error {
	roles, named := RolesOf(cert)
	if len(s) == 0 || !named || slices.ContainsFunc(roles, func(r Role) bool { return slices.Contains(s, r) }) {
		return nil
	}
	return &RoleError{Subject: cert.Subject.CommonName, Has: roles, Want: s}
}
