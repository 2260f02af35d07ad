// Package directory is a bucket in a directory: for development, tests and single machines. An object is a file whose
// path below the root is its key.
//
// # How an object comes to be
//
//  1. The folders of the key are made, and fsynced up to the root once a process.
//  2. The bytes go to a file in .gnomon/tmp, which is fsynced.
//  3. link(2) gives the file the key's name. It fails if the name is taken: that is the condition of a Put, and it is
//     atomic among all processes of the machine.
//  4. The key's folder is fsynced, and only then Put returns nil. The temporary name is removed.
//
// # Invariants
//
//  1. Under a key's name there is a whole object or nothing: a crash before step 3 leaves a temporary file, which no
//     method shows, a crash after it the whole object.
//  2. Put returns nil only when file and name are on the disk.
//  3. Temporary files are removed only while no process has the bucket open: each holds a shared flock(2) on
//     .gnomon/lock, and one that opens the bucket cleans up only if it gets the lock alone.
//  4. A running store removes no folder: it may have been fsynced on behalf of another Put.
//
// # Concurrency
//
// All methods may be called concurrently, from several processes of one machine. Whether a network file system keeps
// link(2) and flock(2) atomic among machines is that file system's matter.
//
// # Failure
//
// A full disk, or too many open files, is base.ErrUnavailable: nothing was stored, and it may pass. When the fsync of a
// folder fails, the object's name may be seen and yet be lost by a crash; no later fsync tells, so Put returns
// ErrAmbiguous and the store refuses everything from then on until it is opened anew.
//
// # Non-goals
//
// Keys that are both an object and a folder; removing folders that became empty; quotas; protection from other programs
// that write below the root (symbolic links are not followed out of it).
package directory
