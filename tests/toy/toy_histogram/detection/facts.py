"""What `oddwave info` says of a model of histograms."""


def facts(meta, constants):
    return {"trained on": f"{meta['num_train_histograms']} histograms"}
