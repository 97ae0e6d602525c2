// Package config is what an operator can set: one typed tree, read from config.yaml and the environment, checked as a whole. It runs before
// any request, and is the only place that knows viper. Nothing in it is global: Load is given the file, the environment and what the program
// is about to do, and answers with a *Config or with every fault at once.
//
// A key is written the same way everywhere: server.listen in YAML, GATEHOUSE_SERVER_LISTEN in the environment; keys that hold a secret can also be
// read from a file that GATEHOUSE_..._FILE names. The environment wins over the file, and the file over the defaults.
package config
