package linkconfig

// Settings that other systems have, and that have no meaning here or come later. Each is checked for its type, and warned
// of with the reason.

const (
	whyInterval = "interval has no meaning here: every event of the source is applied in order as it happens, nothing is polled"
	whyEarliest = "%s is not built yet: the link starts at the source's earliest offsets, and copies the newest data first"
	whyClient   = "%s has no meaning here: a link reads the source's log and its bucket, not its Kafka listener"
	whyACLs     = "%s choose nothing yet: filtering of ACLs comes later; ACLs are part of the link's image as soon as the source has them"
	whyRoles    = "%s choose nothing yet: roles come later, as part of the link's image"
	whySchemas  = "%s does nothing yet: the schema registry comes later; its schemas will be part of the link's image, with the same ids"
)

// ignored checks a value by its kind and warns.
func ignored(kind func(f field, p *parser), why string) func(p *parser, f field) {
	return func(p *parser, f field) {
		before := len(p.errors)
		kind(f, p)
		if len(p.errors) == before {
			p.warn(f.line, why, f.name)
		}
	}
}

func noInterval(p *parser, f field) {
	f.duration(p)
	p.warn(f.line, whyInterval)
}

// notAlone reads a pause of one part of a link.
func notAlone(what string) func(p *parser, f field) {
	return func(p *parser, f field) {
		if v, ok := f.flag(p); ok && v {
			p.warn(f.line, "paused has no meaning for %s alone: a link is one cut of its source, so pause the whole link instead", what)
		}
	}
}

func anyText(f field, p *parser)  { f.text(p) }
func anyTexts(f field, p *parser) { f.texts(p) }
func anyFlag(f field, p *parser)  { f.flag(p) }

// unused makes a schema of settings that are all texts, and mean nothing here.
func unused(why string, names ...string) schema {
	s := schema{}
	for _, n := range names {
		s[n] = ignored(anyText, why)
	}
	return s
}

func securitySchema() schema {
	patterns := func(names ...string) func(p *parser, f field) {
		return func(p *parser, f field) {
			s := schema{}
			for _, n := range names {
				s[n] = func(p *parser, f field) { f.text(p) }
			}
			f.section(p, s)
		}
	}
	return schema{
		"interval": noInterval,
		"paused":   notAlone("ACLs"),
		"acl_filters": func(p *parser, f field) {
			f.items(p, func(p *parser, item field) {
				item.section(p, schema{
					"resource_filter": patterns("resource_type", "pattern_type", "name"),
					"access_filter":   patterns("principal", "operation", "permission_type", "host"),
				})
			})
			p.warn(f.line, whyACLs, f.name)
		},
	}
}

func roleSchema() schema {
	return schema{
		"interval": noInterval,
		"paused":   notAlone("roles"),
		"role_filters": func(p *parser, f field) {
			f.items(p, func(p *parser, item field) {
				item.section(p, schema{
					"pattern_type": func(p *parser, f field) { f.text(p) },
					"filter_type":  func(p *parser, f field) { f.text(p) },
					"name":         func(p *parser, f field) { f.text(p) },
				})
			})
			p.warn(f.line, whyRoles, f.name)
		},
	}
}

func registrySchema() schema {
	return schema{
		"interval":                     noInterval,
		"paused":                       notAlone("schemas"),
		"shadow_schema_registry_topic": ignored(func(f field, p *parser) { f.empty(p) }, whySchemas),
		"shadow_schema_registry_api": func(p *parser, f field) {
			s := unused(whySchemas, "url", "username", "password_file", "password_env", "subject_filter")
			s["urls"] = ignored(anyTexts, whySchemas)
			s["password"] = refuseSecret
			f.section(p, s)
		},
	}
}

// clientSchema is how another system reaches its source by the Kafka protocol.
func clientSchema() schema {
	login := func(p *parser, f field) {
		s := unused(whyClient, "username", "password_file", "password_env", "scram_mechanism")
		s["password"] = refuseSecret
		f.section(p, s)
	}
	pem := func(also schema) schema {
		s := unused(whyClient, "ca", "cert")
		s["key"] = refuseSecret
		for name, read := range also {
			s[name] = read
		}
		return s
	}
	s := unused(whyClient, "client_id", "source_cluster_id")
	for _, n := range []string{
		"metadata_max_age_ms", "connection_timeout_ms", "retry_backoff_ms", "fetch_wait_max_ms", "fetch_min_bytes",
		"fetch_max_bytes", "fetch_partition_max_bytes",
	} {
		s[n] = ignored(func(f field, p *parser) { f.number(p) }, whyClient)
	}
	s["bootstrap_servers"] = ignored(anyTexts, whyClient+"; name its coordinators, etcd and bucket under source")
	s["tls_settings"] = func(p *parser, f field) {
		f.section(p, pem(schema{
			"enabled":                 ignored(anyFlag, whyClient),
			"do_not_set_sni_hostname": ignored(anyFlag, whyClient),
			"tls_file_settings":       func(p *parser, f field) { f.section(p, unused(whyClient, "ca_path", "cert_path", "key_path")) },
			"tls_pem_settings":        func(p *parser, f field) { f.section(p, pem(nil)) },
		}))
	}
	s["authentication_configuration"] = func(p *parser, f field) {
		f.section(p, schema{"scram_configuration": login, "plain_configuration": login})
	}
	return s
}
