// Package trace tells OpenTelemetry how a produce went, and how its records got to the shadow. It is off by default.
//
// The unit is the segment object, which many requests share, and which is known by the same name from its flush to its copy: by its
// region's cluster id, its session and its number. All ids are made of that name. So the agent, the coordinator and the other region's link
// put their spans into one trace, and know that they are to, without a word between them: no header, no byte in an event.
//
//	trace of an object                                      told by
//	  gnomon.object           first request in, last ack     agent
//	    gnomon.object.wait    until the flush                agent
//	    gnomon.object.put     into the bucket                agent
//	    gnomon.object.commit  until the answer               agent
//	      gnomon.metalog.sequence   until its turn           coordinator
//	      gnomon.metalog.append     into etcd                coordinator
//	    gnomon.shadow         heard of, in the image         link, other region
//	      gnomon.shadow.copy  with .get and .put             link
//	      gnomon.shadow.append                               link
//	trace of a request
//	  gnomon.produce          last byte in, answer out       agent; linked to its object, and the object to it
//
// What holds:
//
//	T1. Off is a nil *Tracer. All methods may be called on it, do nothing and allocate nothing.
//	T2. Whether an object is traced is a function of its name and the ratio: who has the higher ratio traces all that others trace.
//	    Requests are traced if their object is.
//	T3. Spans are made when they are over. Telling them never waits: what the exporter cannot take is dropped.
//	T4. No key, value or header of a record is in a span. Names of topics are not either.
//
// Not here: spans of other requests than Produce, and of entries that name no object. See decision 0018.
package trace
